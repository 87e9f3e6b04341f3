"""The number of the form of a file of ours: an earlier release's is read, a newer one's refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

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


@contextlib.contextmanager
def told(content: bytes | str, form: int, what: str, remedy: str) -> Iterator[dict[str, Any]]:
    """Read an object for the length of a ``with`` block, which makes of it what it stands for.

    Args:
        content: The JSON text.
        form: The version of the form that this release reads.
        what: What it is, as the beginning of a sentence: "The window".
        remedy: How to get it anew.

    Yields:
        The object, without its version.

    Raises:
        MLOpsError: It is of another form, or damaged: the block found something missing, or odd.
    """
    try:
        held = orjson.loads(content)
        found = held.pop("version")
        if found != form:
            raise MLOpsError(
                f"{what} is of version {str(found)[:20]}; this release reads {form}.",
                f"Update mlops-magics. {remedy}",
            )
        yield held
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise MLOpsError(f"{what} is damaged ({type(error).__name__}).", remedy) from error
