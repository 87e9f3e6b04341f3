"""What a request is refused with, whichever protocol says it."""

from __future__ import annotations

from typing import NoReturn


class RequestError(Exception):
    """A request that gets no prediction.

    Attributes:
        status: The HTTP status.
        code: A word for programs, such as "BAD_REQUEST".
        message: A sentence for people; it repeats no value of the request.
        column: The column that it is about, or None.
        row: The row that it is about, counted from 0, or None.
    """

    def __init__(
        self, status: int, code: str, message: str, *, column: str | None = None, row: int | None = None
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.column = column
        self.row = row


def bad(message: str, *, column: str | None = None, row: int | None = None) -> NoReturn:
    """Refuse a request that is malformed.

    Args:
        message: A sentence for people; it repeats no value of the request.
        column: The column that it is about, or None.
        row: The row that it is about, or None.

    Raises:
        RequestError: Always.
    """
    raise RequestError(400, "BAD_REQUEST", message, column=column, row=row)
