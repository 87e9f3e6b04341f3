"""What we wrote down as JSON, read back: it says of which form it is, and may be damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson

from mlops_magics.foundation.errors import MLOpsError


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
