"""Where the cell that runs stands: the notebook's path and the cell's id, as the front end tells them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.provenance import Source


def notebook(settings: Settings, namespace: Mapping[str, Any]) -> str | None:
    """Find the notebook's full path.

    It is known from our own runner, from VS Code, from Jupyter's session, or from the one notebook
    that the program which started the kernel was asked to execute.

    Returns:
        The path, or None where nobody says it: it is never guessed.
    """
    said = (
        settings.notebook,
        namespace.get("__vsc_ipynb_file__"),
        os.environ.get("JPY_SESSION_NAME"),
    )
    for text in said:
        if isinstance(text, str) and text.endswith(".ipynb") and Path(text).is_file():
            return str(Path(text).resolve())
    return _of_parent()


def cell_id(shell: Any) -> str | None:  # noqa: ANN401 - IPython ships no types
    """Return the id of the cell that runs, where the front end sends one (JupyterLab does)."""
    try:
        parent = shell.get_parent()
    except AttributeError:  # a terminal has no messages
        return None
    found = parent.get("metadata", {}).get("cellId") if isinstance(parent, Mapping) else None
    return found if isinstance(found, str) else None


def _of_parent() -> str | None:
    """Read the arguments of the program that started this kernel: papermill, nbconvert, pytest."""
    import psutil

    try:
        parent = psutil.Process().parent()
        if parent is None:
            return None
        words, folder = parent.cmdline(), Path(parent.cwd())
    except psutil.Error:
        return None
    named = {
        path.resolve() for word in words if word.endswith(".ipynb") and (path := folder / word).is_file()
    }
    return str(named.pop()) if len(named) == 1 else None


def source_of(shell: Any, code: str, line: str, settings: Settings) -> Source:  # noqa: ANN401 - as above
    """Say what is about to be executed, and where it stands.

    Args:
        shell: The shell.
        code: The cell, without its first magic line.
        line: That line; "" where there is none.
        settings: The settings that hold here.
    """
    return Source(code, line, cell_id(shell), notebook(settings, shell.user_ns))
