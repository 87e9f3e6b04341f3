"""Watches the cells of a kernel: what each one read, bound and changed, seen from outside.

Before a cell the objects that it can reach are digested (their digests are usually known from the
cell before); afterwards they are digested again. The source alone would have to take every method
call for a change. Only names, ids and digests are kept, never an object.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.lineage import chance, files, lore
from mlops_magics.lineage.backward import Slice, backward
from mlops_magics.lineage.execution import Executed
from mlops_magics.lineage.gaze import Gaze
from mlops_magics.lineage.names import hidden
from mlops_magics.lineage.usage import Usage, usage

_FUNCTION = types.FunctionType
_ALLOWED = 0.150  # seconds of digesting after a cell, or
_SHARE = 0.05  # this part of the cell's own time, whichever is more


@dataclass(slots=True)
class _Pending:
    """A cell that runs now."""

    source: str
    code: str
    cell: str | None
    usage: Usage
    reads: frozenset[str]
    ids: dict[str, int]
    chance: dict[str, str]
    place: str
    environment: int
    settings: dict[str, str]
    listener: files.Listener
    started: float
    own: tuple[dict[str, str], int] | None = None

    def states(self) -> dict[str, str]:
        """Digest the generators as the cell left them."""
        return chance.states() if self.own is None else self.own[0]

    def begin_own(self) -> None:
        """Note how things stand before the tracker does something of its own."""
        self.own = chance.states(), _environment()

    def end_own(self) -> None:
        """Take what the tracker changed for how things stood before the cell."""
        if self.own is None:
            return
        (states, environment), self.own = self.own, None
        now = chance.states()
        self.chance = {
            name: now[name] if self.chance.get(name) == states.get(name) else self.chance.get(name, "")
            for name in now
        }
        if self.environment == environment:
            self.environment = _environment()


class Recorder:
    """Records what cells do; tell it of each cell before and after it runs.

    Args:
        transform: Turns a cell's source into Python (IPython's ``transform_cell``).
        ignored: Files and folders that belong to the tracker, whose use is no part of a cell.
        earlier: The sources of the cells that ran before there was a recorder; each slice keeps them.

    Attributes:
        transform: As given.
        overhead: The seconds that recording has taken.
    """

    def __init__(
        self,
        *,
        transform: Callable[[str], str] = str,
        ignored: Iterable[Path] = (),
        earlier: Iterable[str] = (),
    ) -> None:
        self.transform = transform
        self._ignored = tuple(os.path.abspath(path) for path in ignored)  # noqa: PTH100 - as audit events say it
        self._log: list[Executed] = [self._unseen(place, source) for place, source in enumerate(earlier)]
        self._gaze = Gaze()
        self._pending: _Pending | None = None
        self._within = 0  # cells that a cell executes belong to it
        self._namespace: dict[str, object] = {}
        self._earlier: frozenset[str] | None = None
        self._seeders: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.overhead = 0.0

    @property
    def log(self) -> tuple[Executed, ...]:
        """The executed cells so far, in order."""
        return tuple(self._log)

    def before(self, source: str, namespace: dict[str, object], *, cell: str | None = None) -> None:
        """Look at the notebook before a cell runs.

        Args:
            source: The cell as the user wrote it.
            namespace: The notebook's names; kept, not copied.
            cell: The notebook's id of the cell, where it has one.
        """
        if self._pending is not None:
            self._within += 1
            return
        start = time.perf_counter()
        code, said = self._read(source)
        self._namespace = namespace
        names = [name for name in namespace if not hidden(name)]
        if self._earlier is None:
            self._earlier = frozenset(names)
            chance.settle()
        reads = frozenset(names) | said.reads if said.anything else said.reads
        reads = self._gaze.look(namespace, reads, names, until=start + _ALLOWED)
        listener = files.Listener(self._ignored)
        self._pending = _Pending(
            source,
            code,
            cell,
            said,
            reads,
            {name: id(namespace[name]) for name in names},
            chance.states(),
            _place(),
            _environment(),
            _settings(),
            listener,
            0.0,
        )
        files.listen(listener)
        self.overhead += time.perf_counter() - start
        self._pending.started = time.perf_counter()

    def after(self, ok: bool) -> None:  # noqa: FBT001 - what IPython's own event says, and nothing else
        """Look again when it has run.

        A call without a ``before`` of its own is ignored: IPython tells of blank cells only afterwards.

        Args:
            ok: Whether it ran to its end without an error.
        """
        pending = self._pending
        if pending is None:
            return
        if self._within:
            self._within -= 1
            return
        start = time.perf_counter()
        files.ignore(pending.listener)
        self._pending = None
        seconds = start - pending.started
        done = self._seen(pending, seconds, ok=ok)
        self._log.append(done)
        self._remember(pending.usage, done)
        self.overhead += time.perf_counter() - start

    def forget(self) -> None:
        """Stop listening to a cell that runs now; it is not recorded."""
        if self._pending is not None:
            files.ignore(self._pending.listener)
        self._pending, self._within = None, 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave out what is done while the block runs: it is the tracker's work, not the cell's."""
        pending = self._pending
        if pending is None:
            yield
            return
        with pending.listener.hearing(on=False):
            pending.begin_own()
            try:
                yield
            finally:
                pending.end_own()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Within work of the tracker's own, hear again: the block is the cell's body."""
        pending = self._pending
        if pending is None:
            yield
            return
        pending.end_own()
        with pending.listener.hearing(on=True):
            try:
                yield
            finally:
                pending.begin_own()

    def slice(self, names: Iterable[str], *, cells: Mapping[str, str] | None = None) -> Slice:
        """Find the executed cells that made what some names hold now.

        A cell that runs now, such as a tracked one, is taken for done.

        Args:
            names: The names.
            cells: The notebook as it stands now, source by cell id in order; None when not known.

        Raises:
            NotFoundError: The notebook has no such name.
        """
        wanted = tuple(names)
        for name in wanted:
            if name not in self._namespace:
                raise NotFoundError(
                    f"The notebook has no name {name!r} to slice for.",
                    "Name a variable that a cell has made.",
                )
        held = [name for name in self._namespace if not hidden(name)]
        log = [*self._log, *self._running()]
        live = self._gaze.reach(self._namespace, frozenset(wanted), held, until=float("inf"))
        return backward(log, live, targets=wanted, earlier=self._earlier or frozenset(), cells=cells)

    def running(self) -> Executed | None:
        """Tell what the cell that runs now has done so far; None where none runs."""
        return next(iter(self._running()), None)

    def shared(self, names: Iterable[str]) -> tuple[str, str] | None:
        """Find two names with a part in common that can change, one of them among the given."""
        held = [name for name in self._namespace if not hidden(name)]
        return self._gaze.shared(self._namespace, sorted(names), held)

    def _running(self) -> list[Executed]:
        if self._pending is None:
            return []
        seconds = time.perf_counter() - self._pending.started
        with self._gaze.kept():  # when the cell ends, all is compared once more
            return [self._seen(self._pending, seconds, ok=True)]

    def _unseen(self, place: int, source: str) -> Executed:
        code, said = self._read(source)
        return Executed(
            place,
            source,
            code,
            reads=said.reads,
            rebound=said.stores | said.maybe,
            always="ran before recording began",
            seen=False,
        )

    def _read(self, source: str) -> tuple[str, Usage]:
        try:
            code = self.transform(source)
        except Exception:  # noqa: BLE001 - the shell will say why when it executes the cell
            return source, Usage()
        try:
            return code, usage(code, self.transform)
        except Exception:  # noqa: BLE001 - a cell that cannot be read may do anything
            return code, Usage(anything=True, always="could not be read")

    def _seen(self, pending: _Pending, seconds: float, *, ok: bool) -> Executed:
        space, said = self._namespace, pending.usage
        now = {name: id(value) for name, value in space.items() if not hidden(name)}
        rebound = {name for name, key in now.items() if pending.ids.get(name) != key}
        rebound |= pending.ids.keys() - now.keys()
        if ok:
            rebound |= said.stores
        until = time.perf_counter() + max(_ALLOWED, _SHARE * seconds)
        fresh = (rebound | said.maybe) & now.keys()
        change = self._gaze.again(space, frozenset(fresh), until=until)
        touched = (change.touched | (said.maybe & now.keys()) | self._packages(said)) - rebound
        moved = chance.moved(pending.chance, pending.states()) | chance.unseen(change.roots)
        seeded = self._seeded(said) if ok else frozenset()
        return Executed(
            len(self._log),
            pending.source,
            pending.code,
            pending.cell,
            ok,
            seconds,
            pending.reads,
            frozenset(rebound),
            frozenset(touched),
            seeded,
            moved - seeded,
            self._files(pending, change.calls),
            said.always or self._world(pending, change.patched, change.calls),
            said.history,
            said.entropy or _unrepeatable(change.calls),
            change.opaque,
            clock=any(map(lore.reads_clock, (*said.calls, *change.calls))),
        )

    def _seeded(self, said: Usage) -> frozenset[str]:
        """Name the generators that the cell seeded with a value before it drew."""
        found = set()
        for seed in said.seeds:
            if seed.name and self._namespace.get(seed.name) is None:
                continue
            for call in self._calls_of(seed.call, said):
                head = call.partition(".")[0]
                name = lore.seeded_by(chance.full_name(self._namespace.get(head), call))
                if name is not None:
                    found.add(name)
        return frozenset(found)

    def _calls_of(self, call: str, said: Usage) -> tuple[str, ...]:
        """Tell what a call seeds with: itself, or what a seeding function of the notebook calls."""
        if call in said.seeders:
            return said.seeders[call]
        key, calls = self._seeders.get(call, (0, ()))
        return calls if key == id(self._namespace.get(call)) else (call,)

    def _remember(self, said: Usage, done: Executed) -> None:
        for name in (done.rebound | done.touched) & self._seeders.keys():
            del self._seeders[name]
        for name, calls in said.seeders.items():
            if name in self._namespace and done.ok:
                self._seeders[name] = (id(self._namespace[name]), calls)

    def _packages(self, said: Usage) -> set[str]:
        """List names of packages that an import may have given another part."""
        return {
            name
            for name, value in self._namespace.items()
            if said.packages and isinstance(value, types.ModuleType) and value.__name__ in said.packages
        }

    def _files(self, pending: _Pending, called: frozenset[str]) -> files.Files:
        seen = pending.listener.files()
        # What the notebook's own functions call is known: their names say nothing.
        said = (name for name in pending.usage.calls if type(self._namespace.get(name)) is not _FUNCTION)
        calls = (*said, *called)
        looks = sum(map(lore.reads_file, calls))
        puts = sum(map(lore.writes_file, calls))
        unseen_read = looks > len(seen.read | seen.listed) or any(map(lore.reads_unseen, calls))
        unseen_write = puts > len(seen.written | seen.made) or any(map(lore.writes_unseen, calls))
        return replace(
            seen, unknown_read=seen.process or unseen_read, unknown_write=seen.process or unseen_write
        )

    def _world(self, pending: _Pending, patched: frozenset[str], words: frozenset[str]) -> str:
        if _place() != pending.place:
            return "changes the working folder"
        if (_environment() if pending.own is None else pending.own[1]) != pending.environment:
            return "changes environment variables"
        if any(pending.settings.get(name, held) != held for name, held in _settings().items()):
            return "changes settings"
        if word := lore.within_changes_world(words):
            return f"calls a function that may change settings ({word})"
        for name in pending.usage.patched | patched:
            held = self._namespace.get(name)
            module = held.__name__ if isinstance(held, types.ModuleType) else getattr(held, "__module__", "")
            if isinstance(held, types.ModuleType) or (isinstance(held, type) and module != "__main__"):
                return "" if str(module).startswith(("matplotlib", "seaborn")) else f"changes {name} itself"
        return ""


def _place() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # somebody removed it
        return ""


def _environment() -> int:
    # Threading libraries set KMP_ variables for themselves when they are imported; ours are settings of ours.
    return hash(frozenset(pair for pair in os.environ.items() if not pair[0].startswith(("KMP_", "MLOPS_"))))


def _settings() -> dict[str, str]:
    """Write down the settings of the process that count for a model."""
    found = {"path": repr(sys.path)}
    if (numpy := sys.modules.get("numpy")) is not None:
        found["numpy"] = repr(numpy.geterr())
    if (sklearn := sys.modules.get("sklearn")) is not None and hasattr(sklearn, "get_config"):
        found["sklearn"] = repr(sklearn.get_config())
    return found


def _unrepeatable(calls: frozenset[str]) -> bool:
    return any(lore.draws_entropy(call, bare=False) for call in calls)
