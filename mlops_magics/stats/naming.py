"""What a column is called: a text of its own, whatever its table calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def labels(names: Sequence[Any]) -> tuple[str, ...]:
    """Make column names texts that differ: ``x``, ``x#1``; ``("a", 1)`` is ``a.1``.

    Args:
        names: The names as the table has them: of any type, repeated or not.

    Returns:
        A text a column, in order.
    """
    taken: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        text = ".".join(map(str, name)) if isinstance(name, tuple) else str(name)
        text = text.encode(errors="backslashreplace").decode()  # lone surrogates are no text to others
        base = text
        while text in taken:
            taken[base] += 1
            text = f"{base}#{taken[base]}"
        taken[text] = 0
        found.append(text)
    return tuple(found)
