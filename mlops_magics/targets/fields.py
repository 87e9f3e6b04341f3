"""The fields in which two JSON files differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import orjson

from mlops_magics.targets.base import Difference

_SHOWN: Final = 80  # characters of a value
_MISSING: Final = object()


def differing(name: str, before: bytes, after: bytes) -> Iterator[Difference]:
    """Compare two JSON files field by field.

    Args:
        name: The file's name.
        before: What it holds.
        after: What it shall hold.

    Yields:
        The fields that differ, in the order of their paths; the file where it is no JSON, or where only
        blanks differ.
    """
    try:
        old, new = dict(_flat(orjson.loads(before))), dict(_flat(orjson.loads(after)))
    except orjson.JSONDecodeError:
        yield Difference("changed", name)
        return
    found = False
    for path in sorted({*old, *new}):
        had, has = old.get(path, _MISSING), new.get(path, _MISSING)
        if had is not has and (type(had), had) != (type(has), has):
            found = True
            yield Difference(_what(had, has), f"{name}: {path}", _shown(had), _shown(has))
    if not found:
        yield Difference("changed", name)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from _flat(item, f"{path}[{place}]")
    else:
        yield path, value


def _what(had: object, has: object) -> Literal["added", "changed", "removed"]:
    if had is _MISSING:
        return "added"
    return "removed" if has is _MISSING else "changed"


def _shown(value: object) -> str:
    if value is _MISSING:
        return ""
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
