"""The backward slice: of all cells that ran, those that made an object.

The log is walked from its end with the set of what is still to be explained: names, states of random
generators, files. A cell stays when it may have had a part in any of these. A cell too many costs time
when the slice runs; one too few makes another model.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_magics.lineage.execution import Executed
from mlops_magics.lineage.files import Files
from mlops_magics.lineage.hidden import reasons

_PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".gif")
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Slice:
    """The executed cells that made something.

    Attributes:
        targets: The names that it is for.
        executions: The cells to keep, in the order in which they ran; one that ran twice may be in twice.
        reasons: Why the notebook as it stands may not make the same again, one sentence each.
        of: How many cells had run.
        unseeded: Random generators whose draws count and that nothing seeded.
    """

    targets: tuple[str, ...]
    executions: tuple[Executed, ...]
    reasons: tuple[str, ...] = ()
    of: int = 0
    unseeded: frozenset[str] = frozenset()

    @property
    def reproducible(self) -> bool:
        """Whether nothing is known that speaks against running the notebook again."""
        return not self.reasons

    @property
    def because(self) -> str:
        """Why it may not be, or what was looked at."""
        if self.reasons:
            return " ".join(self.reasons)
        kept = len(self.executions)
        return (
            f"{kept} of {self.of} executed cells made {', '.join(self.targets)}; no hidden state was found."
        )


@dataclass(slots=True)
class _Live:
    """What is still to be explained."""

    names: set[str]
    generators: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)
    any_file: bool = False

    def meets(self, cell: Executed) -> bool:
        """Tell whether a cell may have had a part in it."""
        return bool(
            cell.always
            or not self.names.isdisjoint(cell.rebound)
            or not self.names.isdisjoint(cell.touched)
            or not self.generators.isdisjoint(cell.seeded | cell.drawn)
            or self._meets_files(cell.files)
        )

    def _meets_files(self, files: Files) -> bool:
        if files.unknown_write and (self.read or self.any_file):
            return True
        if self.any_file and any(not path.endswith(_PICTURES) for path in files.written):
            return True
        if not self.read.isdisjoint(files.written) or not (self.read | self.parents).isdisjoint(files.made):
            return True
        # A whole tree that was written, moved or removed at once; a folder whose contents were asked for.
        return any(_under(path, files.written) for path in self.read) or any(
            _under(path, self.listed) for path in files.written | files.made
        )

    def explain(self, cell: Executed) -> None:
        """Take out what a cell settles, and put in what it needs."""
        self.names -= cell.rebound
        self.names |= cell.reads
        self.generators -= cell.seeded
        self.generators |= cell.drawn
        files = cell.files
        self.read |= files.read
        self.listed |= files.listed
        for path in files.written | files.made:
            self.parents.update(map(str, Path(path).parents))
        self.any_file |= files.unknown_read


def _under(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(folder + os.sep) for folder in folders)


def backward(
    log: Sequence[Executed],
    live: frozenset[str],
    *,
    targets: tuple[str, ...],
    earlier: frozenset[str] = frozenset(),
    cells: Mapping[str, str] | None = None,
) -> Slice:
    """Walk a log backwards.

    Args:
        log: The executed cells, in order.
        live: The names to explain: the targets and what their functions read.
        targets: The names that the slice is for.
        earlier: Names that existed before the log began.
        cells: The notebook as it stands now, source by cell id in order; None when not known.
    """
    state = _Live(set(live))
    kept: list[Executed] = []
    for cell in reversed(log):
        if not state.meets(cell):
            continue
        if cell.history:  # it read inputs and outputs by number: any cell may have made them
            kept += reversed(log[: cell.number + 1])
            state.names |= earlier
            state.generators |= {name for item in log[: cell.number + 1] for name in item.drawn - item.seeded}
            break
        kept.append(cell)
        state.explain(cell)
    executions = tuple(reversed(kept))
    missing = (state.names & earlier) - _BUILTINS
    return Slice(
        targets,
        executions,
        reasons(executions, log, state.generators, missing, cells),
        len(log),
        frozenset(state.generators),
    )
