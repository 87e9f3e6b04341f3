"""The runs table: all runs of an experiment, filtered, sorted and handed out in pages.

The values stay here. What is asked for is a :class:`View`, whoever asks: a card's page, or ``--where``.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.steps.track.comparison import Comparison, compared
from mlops_magics.steps.track.direction import higher_is_better
from mlops_magics.steps.track.query import Term, Value, number, parsed
from mlops_magics.tracking.leaderboard import Row
from mlops_magics.tracking.recall import recall
from mlops_magics.tracking.run_columns import Head, RunColumns, columns_of
from mlops_magics.tracking.store import Store

PAGE: Final = 100  # rows of one answer
METRIC: Final = "metrics."
PARAM: Final = "params."
OF_RUN: Final = ("name", "status", "started", "duration")
_OF_VERSION = ("registered", "alias")
_METRICS, _PARAMS = 4, 6  # shown until others are chosen
_KEPT = 8  # selections: going back to the filter of before costs nothing


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at.

    Attributes:
        filter: The filter, as it is written in the box or after ``--where``.
        brush: The ranges drawn on the axes, in the same syntax.
        sort: The column of the order: ``started``, ``metrics.auc``, ``params.depth``.
        up: Whether the least comes first.
        columns: The metrics and parameters shown, with their prefix.
    """

    filter: str = ""
    brush: str = ""
    sort: str = "started"
    up: bool = False
    columns: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """All conditions in one filter."""
        return f"{self.filter.strip()} {self.brush.strip()}".strip()


class RunTable:
    """All runs of an experiment at the moment when they are first asked for.

    Args:
        store: The open store.
        experiment_id: The experiment.
        start: What is looked at first.
    """

    def __init__(self, store: Store, experiment_id: str, start: View) -> None:
        self.start = start
        self._store, self._experiment = store, experiment_id
        self._columns: RunColumns | None = None
        self._selected: dict[tuple[str, str, bool], list[int]] = {}

    @property
    def runs(self) -> RunColumns:
        """The columns, read when they are first asked for.

        Raises:
            UnavailableError: The store does not answer.
        """
        if self._columns is None:
            self._columns = columns_of(self._store, self._experiment)
        return self._columns

    def refresh(self) -> None:
        """Forget what was read: the next question reads the store as it is then."""
        self._columns = None
        self._selected.clear()

    def read_more(self) -> None:
        """Read the next runs of a store that gives them in pages."""
        self.runs.read_more()
        self._selected.clear()

    def read_all(self) -> None:
        """Read every run of a store that gives them in pages: who asks for all is not told of a part."""
        while self.runs.more:
            self.read_more()

    def column(self, key: str) -> Sequence[Value]:
        """Return a column, a value a run.

        Args:
            key: ``name``, ``status``, ``started`` (milliseconds since the epoch), ``duration`` (seconds), or
                a metric or parameter with its prefix.

        Raises:
            NotFoundError: No run has it.
        """
        runs = self.runs
        if key.startswith(METRIC) and (name := key.removeprefix(METRIC)) in runs.metrics:
            return runs.metric(name)
        if key.startswith(PARAM) and (name := key.removeprefix(PARAM)) in runs.params:
            return runs.param(name)
        if key not in OF_RUN:
            raise NotFoundError(
                Sentence("No run has a metric or a parameter '%1'.", key[:80]), self._near(key)
            )
        return [_of_run(head, key) for head in runs.heads]

    def duration(self, at: int) -> Value:
        """Return how many seconds one run took; None while it runs."""
        return _of_run(self.runs.heads[at], "duration")

    def resolved(self, name: str) -> str:
        """Find the column that a name in a filter means; of one name a metric goes before a parameter."""
        if name.lower() in OF_RUN:
            return name.lower()
        for prefix in (METRIC, PARAM):  # parameters are read only where no metric is called so
            known: Collection[str] = self.runs.metrics if prefix == METRIC else self.runs.params
            if name.removeprefix(prefix) in known and (name.startswith(prefix) or name in known):
                return prefix + name.removeprefix(prefix)
        raise NotFoundError(Sentence("No run has a metric or a parameter '%1'.", name[:80]), self._near(name))

    def select(self, view: View) -> list[int]:
        """Return the places of the runs that fit, in the view's order; runs without its value come last.

        Raises:
            UsageError: The filter is not complete.
            NotFoundError: The filter or the order names no column.
        """
        asked = (view.where, view.sort, view.up)
        if asked not in self._selected:
            while len(self._selected) >= _KEPT:
                del self._selected[next(iter(self._selected))]
            places: Iterable[int] = range(len(self.runs.heads))
            for term in parsed(view.where):
                fits = self._test(term)
                places = [at for at in places if fits(at)]
            if view.sort == "started" and not view.up:
                self._selected[asked] = list(places)  # they were read so
            else:
                self._selected[asked] = _ordered(places, self.column(view.sort), up=view.up)
        return self._selected[asked]

    def best(self, key: str, places: Sequence[int]) -> float | None:
        """Return the best value of a metric among some runs; None where its name does not say which is."""
        better = higher_is_better(key.removeprefix(METRIC)) if key.startswith(METRIC) else None
        if better is None:
            return None
        values = self.column(key)
        held = [value for at in places if isinstance(value := values[at], float)]
        if len(held) < 2 or min(held) == max(held):  # noqa: PLR2004 - among one run none is best
            return None
        return max(held) if better else min(held)

    def shown_first(self) -> tuple[str, ...]:
        """Choose the columns to begin with: metrics whose better side is known, parameters that differ."""
        params = [name for name, differs in self.runs.params.items() if differs]
        return (*self.metrics_first(), *(PARAM + name for name in params[:_PARAMS]))

    def metrics_first(self) -> tuple[str, ...]:
        """Choose the metrics to begin with: that of the order, then those whose better side is known."""
        order = self.start.sort.removeprefix(METRIC)
        metrics = sorted(
            self.runs.metrics,
            key=lambda name: (name != order, higher_is_better(name) is None or "seconds" in name, name),
        )
        return tuple(METRIC + name for name in metrics[:_METRICS])

    def rows(self, limit: int) -> tuple[Row, ...]:
        """Return the first runs of the view that the table starts with, with all metrics of each.

        All runs of the store are read for it.
        """
        self.read_all()
        runs, places = self.runs, self.select(self.start)
        if self.start.sort.startswith(METRIC):
            held = self.column(self.start.sort)
            places = [at for at in places if held[at] is not None]
        found = {name: runs.metric(name) for name in runs.metrics}
        heads = [(at, runs.heads[at]) for at in places[:limit]]
        return tuple(
            Row(
                head.run_id,
                head.name,
                head.status,
                head.started,
                {name: value for name, values in found.items() if (value := values[at]) is not None},
            )
            for at, head in heads
        )

    def compare(self, left: str, right: str) -> Comparison:
        """Compare two runs by their ids."""
        return compared(recall(self._store, None, left), recall(self._store, None, right))

    def _test(self, term: Term) -> Callable[[int], bool]:
        if term.key.lower() in _OF_VERSION:
            return self._version_test(term)
        key = self.resolved(term.key) if term.key else "name"
        values, fits = self.column(key), term.fits()
        return lambda at: fits(values[at])

    def _version_test(self, term: Term) -> Callable[[int], bool]:
        """Test what was registered of a run: any of its models or aliases may fit, or none for ``!=``."""
        if term.sign not in {"=", "!="}:
            raise UsageError(f"{term.key} is compared with = or !=.", f"Write {term.key}={term.values[0]}")
        wanted = {value.lower() for value in term.values}
        heads, versions = self.runs.heads, self.runs.versions

        def fits(at: int) -> bool:
            origins = versions.get(heads[at].run_id, ())
            if term.key.lower() == "alias":
                held = {alias.lower() for origin in origins for alias in origin.aliases}
            else:
                held = {origin.model.lower() for origin in origins} | {"yes" if origins else "no"}
            return bool(held & wanted) is (term.sign == "=")

        return fits

    def _near(self, name: str) -> str:
        bare = name.removeprefix(METRIC).removeprefix(PARAM)
        return nearest(bare, (*OF_RUN, *_OF_VERSION, *self.runs.metrics, *self.runs.params))


def frame_of(table: RunTable) -> Mapping[str, Sequence[Any]]:
    """Return all columns of a table, named as MLflow's own search names them; the order is the view's.

    A parameter whose values are all numbers is a column of numbers.
    """
    table.read_all()
    runs, places = table.runs, table.select(table.start)
    columns: dict[str, Sequence[Any]] = {"run_id": [runs.heads[at].run_id for at in places]}
    names = (*OF_RUN, *(METRIC + name for name in runs.metrics), *(PARAM + name for name in runs.params))
    for key in names:
        values = table.column(key)
        held = [values[at] for at in places]
        numbers = [number(value) for value in held] if key.startswith(PARAM) else []
        all_numbers = numbers and all(
            (one is None) == (value is None) for one, value in zip(numbers, held, strict=True)
        )
        columns[key] = numbers if all_numbers else held
    return columns


def code_of(view: View, runs: Sequence[str] = ()) -> str:
    """Write the line that shows the same again.

    Args:
        view: What is looked at.
        runs: The ids of two runs that are selected, if they are.
    """
    if runs:
        return f"%mlops_track --compare {','.join(runs)}"
    parts = ["%mlops_track"]
    if view.sort.startswith(METRIC):
        order = f"{view.sort.removeprefix(METRIC)}{'-' if view.up else ''}"
        parts += ["--best", shlex.quote(order)]
    if view.where:
        parts += ["--where", shlex.quote(view.where)]
    return " ".join(parts)


def _of_run(head: Head, key: str) -> Value:
    match key:
        case "name":
            return head.name
        case "status":
            return head.status.lower()
        case "started":
            return float(head.started)
        case _:
            return None if head.ended is None else max(0, head.ended - head.started) / 1000


def _ordered(places: Iterable[int], values: Sequence[Value], *, up: bool) -> list[int]:
    """Sort places by a value: numbers before texts, what has none last, equals as they stood."""
    held, bare = [], []
    for at in places:
        value = values[at]
        if value is None:
            bare.append(at)
        else:
            size = number(value)
            held.append(((0, size, "") if size is not None else (1, 0.0, str(value).lower()), at))
    held.sort(key=lambda one: one[0], reverse=not up)
    return [at for _, at in held] + bare
