"""A notebook is read and judged before any kernel starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import MissingExtraError, NotFoundError, UsageError

_FORMAT, _MINOR = 4, 5
_SHOWN: Final = 200  # characters of another library's message
_CELLS: Final = {"code": ("outputs", "execution_count"), "markdown": (), "raw": ()}
_PYTHON: Final = {"", "python", "ipython", "python3"}


@dataclass(frozen=True, slots=True)
class Book:
    """A notebook that can be executed.

    Attributes:
        node: Its content, in the one form that is executed: whole sources, an id a cell, no outputs.
        name: What it is called in sentences.
        sha256: Of the file; of the content where it is no file.
    """

    node: dict[str, Any]
    name: str
    sha256: str

    @property
    def kernel(self) -> str:
        """The kernel that it names; Python's own where it names none."""
        return str(_about(self.node, "kernelspec").get("name") or "python3")

    @property
    def is_python(self) -> bool:
        """Whether its cells are Python, as far as it says."""
        said = (
            _about(self.node, "kernelspec").get("language"),
            _about(self.node, "language_info").get("name"),
        )
        return all(str(word or "").lower() in _PYTHON for word in said)

    @property
    def code(self) -> str:
        """A digest of what is executed: its code cells, their tags and the kernel; not its outputs."""
        told = [self.kernel] + [
            [cell["source"], cell["metadata"].get("tags", [])]
            for cell in self.node["cells"]
            if cell["cell_type"] == "code"
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def read(notebook: Path | Mapping[str, Any]) -> Book:
    """Read a notebook.

    Args:
        notebook: Its path, or its content.

    Returns:
        The notebook, with nothing in it that an earlier execution left.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no notebook, or one of another format.
        MissingExtraError: What reads notebooks is not installed.
    """
    if isinstance(notebook, Mapping):
        content = json.dumps(notebook, sort_keys=True).encode()
        name = "The notebook"
    else:
        content, name = _content(notebook), str(notebook)
    return Book(_checked(_parsed(content, name), name), name, hashlib.sha256(content).hexdigest())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no notebook {path}.", "Write its path from the current folder."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", "Name a notebook that you may read."
        ) from error


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        told = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{name} is no notebook: {str(error)[:_SHOWN]}.", "Name a .ipynb file, as Jupyter saves it."
        ) from error
    if not isinstance(told, dict) or "nbformat" not in told:
        raise UsageError(
            f"{name} is no notebook: it names no format.", "Name a .ipynb file, as Jupyter saves it."
        )
    if told["nbformat"] != _FORMAT:
        raise UsageError(
            f"{name} has the notebook format {str(told['nbformat'])[:_SHOWN]}; only format 4 is executed.",
            f"Convert it with: jupyter nbconvert --to notebook --nbformat 4 {name}",
        )
    return told


def _checked(told: dict[str, Any], name: str) -> dict[str, Any]:
    """Bring a notebook into one form, and hold it against the format."""
    try:
        import nbformat
    except ImportError:
        raise MissingExtraError("nbformat", "retrain") from None
    try:
        cells = [_cell(cell) for cell in told["cells"]]
        # The state of widgets is an earlier execution's.
        metadata = {key: value for key, value in told.get("metadata", {}).items() if key != "widgets"}
        node = {"cells": cells, "metadata": metadata, "nbformat": _FORMAT, "nbformat_minor": _MINOR}
        _name_cells(cells)
        nbformat.validate(nbformat.from_dict(node))  # type: ignore[no-untyped-call]
    except (KeyError, TypeError, AttributeError, ValueError, nbformat.ValidationError) as error:
        words = (str(error).splitlines() or [""])[0][:_SHOWN]
        raise UsageError(
            f"{name} is not as the notebook format wants it ({type(error).__name__}: {words}).",
            "Open it in JupyterLab and save it again.",
        ) from error
    return node


def _cell(cell: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a file holds
    kind, source = cell["cell_type"], cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    text.encode()  # half a character cannot be sent to a kernel
    made = {
        "cell_type": kind,
        "id": cell.get("id"),
        "metadata": {key: value for key, value in cell["metadata"].items() if key != "execution"},
        "source": text,
    }
    if "execution_count" in _CELLS[kind]:
        made |= {"outputs": [], "execution_count": None}
    if "attachments" in cell:
        made["attachments"] = cell["attachments"]
    return made


def _name_cells(cells: list[dict[str, Any]]) -> None:
    """Give each cell an id of its own: the same for the same notebook."""
    seen: set[str] = set()
    for place, cell in enumerate(cells):
        if not isinstance(cell["id"], str) or not cell["id"] or cell["id"] in seen:
            cell["id"] = hashlib.sha256(f"{place};{cell['source']}".encode(errors="replace")).hexdigest()[:16]
        seen.add(cell["id"])


def _about(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = node["metadata"].get(name)
    return found if isinstance(found, Mapping) else {}
