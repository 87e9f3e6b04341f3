"""The modules that a model of MLflow brings along: Python knows one of a name, and two models may differ.

A model imports them by that name, when it is loaded and perhaps only when it is asked.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

FOLDER: Final = "code"
"""Where they lie in a model's folder."""

_MADE = "__pycache__"


def modules(folder: Path) -> dict[str, str]:
    """Name the modules that a model brings along.

    Args:
        folder: The model folder.

    Returns:
        By the name that is imported, a digest of all that lies under it.
    """
    place = folder / FOLDER
    found = {}
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.name != _MADE:
            digest = hashlib.sha256()
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.is_file() and _MADE not in file.parts:
                    content = file.read_bytes()
                    digest.update(f"{file.relative_to(place)}:{len(content)}:".encode() + content)
            found[path.name.partition(".")[0]] = digest.hexdigest()
    return found


def clash(one: Path, other: Path) -> str:
    """Name a module that two models bring along, each its own; "" where there is none.

    Args:
        one: A model folder.
        other: Another one.
    """
    first, second = modules(one), modules(other)
    return next((name for name in first if second.get(name, first[name]) != first[name]), "")
