"""What goes back to a client, whichever protocol it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from mlops_magics.artifact.loading import Method

JSON: Final = "application/json"


class Answer(NamedTuple):
    """An answer as HTTP carries it; a tuple, as one is made for each request.

    Attributes:
        body: Its bytes.
        kind: Its media type.
        status: Its status.
        headers: Headers beside those that every answer has.
    """

    body: bytes
    kind: str = JSON
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Reply(Protocol):
    """How the answer to one request is written, where it is not MLflow's plain JSON."""

    @property
    def also(self) -> Sequence[Method]:
        """The methods that are asked for besides the request's first one."""
        ...

    def write(self, found: Sequence[np.ndarray[Any, Any]]) -> Answer:
        """Write the answer.

        Args:
            found: What the model answered: to the first method, then to those of ``also``.
        """
        ...
