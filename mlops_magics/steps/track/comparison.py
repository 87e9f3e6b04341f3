"""What differs between two runs: code, data, parameters, environment, metrics."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title
from mlops_magics.foundation.result import Result
from mlops_magics.tracking.recall import Recalled

_SHOWN = 30  # rows of a table
_LINES = 80  # of a diff
_MODULES = 10  # shown
_TIMES = frozenset({"fit_seconds"})  # differ each time, and say nothing

Pair = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Comparison(Result):
    """Two runs side by side; only what differs.

    Attributes:
        left: The first run's name.
        right: The second run's name.
        metrics: Name, both values, and the second less the first; None where a run has none.
        params: Name and both values.
        tables: Name and the digests of both runs' data.
        packages: Distribution and both versions.
        code: The cells' unified diff; "" where they are the same.
        changes: The unified diff of the uncommitted changes; "" where they are the same.
        modules: Path and unified diff of each helper module that differs.
        machine: What differs between the machines and the seeds of the generators, with both values.
        commits: The commits, where they differ.
        run_ids: MLflow's ids of both.
    """

    left: str
    right: str
    metrics: tuple[tuple[str, float | None, float | None, float | None], ...] = ()
    params: tuple[Pair, ...] = ()
    tables: tuple[Pair, ...] = ()
    packages: tuple[Pair, ...] = ()
    code: str = ""
    changes: str = ""
    modules: tuple[tuple[str, str], ...] = ()
    machine: tuple[Pair, ...] = ()
    commits: tuple[str | None, str | None] | None = None
    run_ids: tuple[str, str] = field(default=("", ""))

    def blocks(self) -> Iterable[Block]:
        """Show what differs, what may have caused it first."""
        same = [name for name, found in self._found().items() if not found]
        yield Title(f"{self.left} and {self.right}", f"the same: {', '.join(same)}" if same else "")
        if self.metrics:
            yield Table(("metric", self.left, self.right, "difference"), self.metrics[:_SHOWN])
        if self.code:
            yield Code(_cut(self.code))
        for path, diff in self.modules[:_MODULES]:
            yield Note(f"The module {path} differs:", "quiet")
            yield Code(_cut(diff))
        if len(self.modules) > _MODULES:
            yield Note(f"{len(self.modules) - _MODULES} more modules differ", "quiet")
        yield from self._tables()
        if self.commits:
            yield Facts([("commit", f"{_short(self.commits[0])} and {_short(self.commits[1])}")])
        if self.changes:
            yield Note("The uncommitted changes differ:", "quiet")
            yield Code(_cut(self.changes))

    def _tables(self) -> Iterable[Block]:
        for title, pairs in (
            ("parameter", self.params),
            ("data", self.tables),
            ("package", self.packages),
            ("machine", self.machine),
        ):
            if pairs:
                rows = [(name, _short(left), _short(right)) for name, left, right in pairs[:_SHOWN]]
                yield Table((title, self.left, self.right), rows)
            if len(pairs) > _SHOWN:
                yield Note(f"{len(pairs) - _SHOWN} more of these differ", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name both runs."""
        return {"left": self.run_ids[0], "right": self.run_ids[1]}

    def _found(self) -> dict[str, object]:
        return {
            "metrics": self.metrics,
            "code": self.code or self.modules,
            "parameters": self.params,
            "data": self.tables,
            "environment": self.packages or self.machine,
            "git": self.commits or self.changes,
        }


def compared(left: Recalled, right: Recalled) -> Comparison:
    """Compare two runs."""
    commits = tuple(run.tags.get("mlflow.source.git.commit") for run in (left, right))
    names = _names(left, right)
    return Comparison(
        *names,
        metrics=tuple(_metrics(left.metrics, right.metrics)),
        params=_pairs(left.params, right.params),
        tables=_pairs(left.tables, right.tables),
        packages=_pairs(*(_packages(run.files.get("environment.txt", "")) for run in (left, right))),
        code=_diff(left.files, right.files, "cell.py", names),
        changes=_diff(left.files, right.files, "uncommitted.diff", names),
        modules=tuple(
            (path, diff)
            for path in sorted({*left.modules, *right.modules})
            if (diff := _diff(left.modules, right.modules, path, names))
        ),
        machine=_pairs(*(_facts(run.files.get("hardware.txt", "")) for run in (left, right))),
        commits=None if commits[0] == commits[1] else (commits[0], commits[1]),
        run_ids=(left.run_id, right.run_id),
    )


def _names(left: Recalled, right: Recalled) -> tuple[str, str]:
    if left.name != right.name:
        return left.name, right.name
    return f"{left.name} {left.run_id[:6]}", f"{right.name} {right.run_id[:6]}"


def _metrics(
    left: Mapping[str, float], right: Mapping[str, float]
) -> Iterable[tuple[str, float | None, float | None, float | None]]:
    for name in dict.fromkeys([*left, *right]):
        pair = left.get(name), right.get(name)
        if name in _TIMES or pair[0] == pair[1]:
            continue
        if pair[0] is None or pair[1] is None:
            yield name, *pair, None
        elif not (math.isnan(pair[0]) and math.isnan(pair[1])):
            yield name, *pair, pair[1] - pair[0]


def _pairs(left: Mapping[str, str], right: Mapping[str, str]) -> tuple[Pair, ...]:
    names = dict.fromkeys([*left, *right])
    return tuple(
        (name, left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)
    )


def _packages(text: str) -> dict[str, str]:
    lines = text.splitlines()
    found = {"Python": lines[0].removeprefix("# Python ")} if lines else {}
    return found | dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))


def _facts(text: str) -> dict[str, str]:
    lines = (line.partition(": ") for line in text.splitlines())
    return {name: value for name, _, value in lines}


def _diff(left: Mapping[str, str], right: Mapping[str, str], file: str, names: tuple[str, str]) -> str:
    before, after = (texts.get(file, "").splitlines() for texts in (left, right))
    return "\n".join(difflib.unified_diff(before, after, names[0], names[1], lineterm="", n=2))


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    return value if len(value) <= 40 else value[:39] + "…"  # noqa: PLR2004 - what fits in a cell


def _cut(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= _LINES:
        return text
    return "\n".join([*lines[:_LINES], f"… {len(lines) - _LINES} more lines"])
