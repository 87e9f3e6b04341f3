"""The number of a file's form: an earlier release's file is read, a newer one's is refused by that name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlops_magics.foundation.errors import MLOpsError, UnavailableError

_KEY: Final = "format"


class NewerFormError(UnavailableError):
    """A file was written by a newer release than this one.

    Args:
        what: The file, in words.
        found: The number of its form.
        known: The newest that this release reads.
    """

    def __init__(self, what: str, found: int, known: int) -> None:
        super().__init__(
            f"The {what} was written by a newer release of mlops-magics: form {found}; here {known}.",
            "Install that release here: pip install --upgrade mlops-magics. The file was left as it is.",
        )


def numbered(fields: Mapping[str, Any], form: int) -> dict[str, Any]:
    """Put the number of their form before the fields of a file."""
    return {_KEY: form, **fields}


def unnumbered(fields: dict[str, Any], form: int, what: str) -> int:
    """Take the number out of a file's fields.

    Args:
        fields: The fields; the number is taken away.
        form: The newest form that is known.
        what: What the file is, for the error.

    Returns:
        The number; 0 where there is none, as in files of before there were numbers.

    Raises:
        NewerFormError: It is of a form that is not known yet.
        MLOpsError: It is no number.
    """
    found = fields.pop(_KEY, 0)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise MLOpsError(
            f"The {what} has no number of a form.", "It is damaged: delete it, and make it again."
        )
    if found > form:
        raise NewerFormError(what, found, form)
    return found
