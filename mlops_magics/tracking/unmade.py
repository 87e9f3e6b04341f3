"""Cells that are executed and are no run yet: what one leaves behind whose kernel ends meanwhile.

A cell without a line of its own is a run only once it has come to something, and a repeated one only where it
comes to something else. Until then a small file says which process is at it. Whoever finds that file without
the process knows that the cell was cut short, and that there is no run to look for. A kernel that is asked to
end interrupts its cell first, and nobody hears what that one has still to say: it goes into the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.processes import ProcessId
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.records import Failure

_KEPT: Final = 30 * 86_400.0  # seconds: a cell may be deleted, and is then never executed again
_OWN: Final = 0o600


@dataclass(slots=True)
class Unmade:
    """A cell that is no run yet.

    Attributes:
        path: The file that says so; None where the front end tells neither the notebook nor the cell.
        cell: The cell's id.
        name: What it makes, once it is at it; "" before.
        kept: Whether the file stays until the cell is executed again.
    """

    path: Path | None
    cell: str
    name: str = ""
    kept: bool = False

    @classmethod
    def of(cls, settings: Settings, source: Source) -> Unmade:
        """Take a cell that is about to be executed: what became of it before is over."""
        if source.notebook is None or source.cell_id is None:
            return cls(None, "")
        made = cls(_folder(settings, source.notebook) / _short(source.cell_id), source.cell_id)
        made.over()
        return made

    def begun(self, name: str) -> None:
        """Say that it is at it, the first time; a disk that takes nothing costs the badge only.

        Args:
            name: What it makes: the kind of a model, or a run.
        """
        if self.path is None or self.name:
            return
        self.name, process = name, ProcessId.current()
        self._write({"process": [process.host, process.pid, process.started, process.birth]})

    def interrupted(self, run: Failure | None) -> None:
        """Say that it was interrupted, if it was at it.

        Args:
            run: The run that it is now; None where it is none.
        """
        if self.path is not None and self.name:
            self.kept = True
            self._write({} if run is None else {"name": run.name, "run_id": run.id})

    def _write(self, more: Mapping[str, object]) -> None:
        if self.path is None:
            return
        said = {"cell": self.cell, "name": self.name, **more}
        with contextlib.suppress(OSError, UnavailableError):
            private_folder(self.path.parent)
            _forget_old(self.path.parent)
            # Not synced: it is for a process that ends, not for a machine that does.
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWN)
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(said))

    def over(self) -> None:
        """Take it back: the cell has ended."""
        if self.path is not None and not self.kept:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)


def cut_short(settings: Settings, notebook: str) -> dict[str, tuple[str, str]]:
    """Find the cells of a notebook that were interrupted, or whose kernel ended, while they were no run yet.

    Args:
        settings: Where this user's files lie.
        notebook: The notebook's full path.

    Returns:
        The id of the run that it became, "" where it is none, and what it made; by the cell's id.
    """
    found = dict[str, tuple[str, str]]()
    with contextlib.suppress(OSError):
        for path in _folder(settings, notebook).iterdir():
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # torn: it was just begun
                said: dict[str, Any] = orjson.loads(path.read_bytes())
                if "process" not in said or _gone(said["process"]):
                    found[str(said["cell"])] = str(said.get("run_id", "")), str(said["name"])
    return found


def _gone(process: tuple[str, int, float, str]) -> bool:
    host, pid, started, birth = process
    return ProcessId(int(pid), float(started), str(host), str(birth)).alive() is False


def _folder(settings: Settings, notebook: str) -> Path:
    return settings.state / "unmade" / _short(notebook)


def _short(text: str) -> str:
    """Name a file after a text of any length."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - _KEPT:
            path.unlink(missing_ok=True)
