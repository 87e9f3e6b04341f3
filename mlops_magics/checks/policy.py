"""Which gates hold a model back and where their bounds are: defaults, or a ``gates.toml``.

gates = ["quality", "champion"]   # all of them where this is left out
margin = 0.01                     # how much worse than the champion is still "not worse"
require = "better"                # the champion gate asks for more than "not worse"
found_slices = "fail"             # a portion that the search found holds the model back

fairness = { columns = ["sex"], difference = 0.1 }

[metrics]
roc_auc = { min = 0.8 }
log_loss = { max = 0.5 }
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import xxhash

from mlops_magics.checks.metrics import HIGHER_IS_BETTER
from mlops_magics.checks.paired import ALPHA, MARGIN
from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest

Require = Literal["not worse", "better"]
Search = Literal["warn", "fail", "off"]

_WORDS: Mapping[str, tuple[str, ...]] = {"require": get_args(Require), "found_slices": get_args(Search)}


class Bounds(NamedTuple):
    """Between which values a metric must be; None leaves a side open."""

    min: float | None = None
    max: float | None = None


class Groups(NamedTuple):
    """The columns whose groups are to be treated alike, and how much they may differ."""

    columns: tuple[str, ...]
    difference: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which gates there are, and their bounds.

    Attributes:
        gates: The gates by name; empty for all of our own that have something to look at.
        thresholds: Bounds by metric; the metric's value itself is held against them.
        primary: The metric that champion and slices are judged by; None for roc_auc, accuracy or r2.
        top: Of a ranking, how many rows ``precision_at_k`` takes; None for as many as are sought.
        list_by: Of a ranking, the column whose values say which rows are ranked against each other; None
            where all rows are one list.
        margin: How much worse than the champion is still "not worse".
        alpha: The error that every test may make.
        require: Whether a candidate must be "not worse" than the champion, or "better".
        slice_drop: How much worse than the mean a slice may be: absolute where higher is better, a
            share of the mean where lower is; None for 0.05 and 0.5.
        found_slices: What a portion that the search found does: "warn" names it, "fail" holds the model back,
            "off" does not search.
        noise_drop: How much of the primary metric noise in the numbers may surely take: absolute where higher
            is better, else a share of its value. None: what noise does is told only.
        calibration_error: The largest expected calibration error.
        leakage_skill: The skill of a single feature that is too good to be true.
        overlap_share: The largest share of rows that were trained on.
        latency_ms: The time within which 95 % of single rows are answered.
        size_mb: The largest size of the model, pickled.
        allow_pickle: Whether a model that is kept in pickle may go further.
        fairness: The columns whose groups are to be treated alike; None where none are named.
    """

    gates: tuple[str, ...] = ()
    thresholds: Mapping[str, Bounds] = field(default_factory=dict)
    primary: str | None = None
    top: int | None = None
    list_by: str | None = None
    margin: float = MARGIN
    alpha: float = ALPHA
    require: Require = "not worse"
    slice_drop: float | None = None
    found_slices: Search = "warn"
    noise_drop: float | None = None
    calibration_error: float = 0.1
    leakage_skill: float = 0.99
    overlap_share: float = 0.01
    latency_ms: float = 250.0
    size_mb: float = 500.0
    allow_pickle: bool = False
    fairness: Groups | None = None

    def asks(self, gate: str) -> bool:
        """Say whether a gate of our own is asked: where none are named all are, fairness only of groups."""
        if self.gates:
            return gate in self.gates
        return gate != "fairness" or self.fairness is not None

    @property
    def digest(self) -> str:
        """Tells these gates and bounds from others; what is left at its default is of no account."""
        usual = Policy().table()
        told = {name: value for name, value in self.table().items() if value != usual.get(name)}
        return xxhash.xxh3_128_hexdigest(json.dumps(told, sort_keys=True).encode())

    @classmethod
    def read(cls, path: str | Path, known: Iterable[str]) -> Policy:
        """Read a policy from a TOML file. Nothing in it is evaluated.

        Args:
            path: The file.
            known: The gates that exist.

        Returns:
            The policy.

        Raises:
            NotFoundError: There is no such file, or a gate, metric or setting of that name.
            UsageError: The file is not TOML, a value is of the wrong kind, or nothing would look at a bound.
        """
        place = Path(path)
        try:
            table = tomllib.loads(place.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no file {place}.", "Check the path; it is taken from the current folder."
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{place} cannot be read as TOML: {error}.", "Correct the file.") from error
        return cls.of(table, known, source=str(place)).whole(str(place))

    @classmethod
    def of(cls, table: Mapping[str, Any], known: Iterable[str], *, source: str = "The policy") -> Policy:
        """Make a policy from a table as it is read from TOML.

        Args:
            table: Settings by name; ``metrics`` holds ``{metric: {min, max}}``, ``fairness``
                ``{columns, difference}``.
            known: The gates that exist.
            source: What the table is called in sentences.

        Raises:
            NotFoundError: There is no gate, metric or setting of that name.
            UsageError: A value is of the wrong kind.
        """
        values = dict(table)
        thresholds = thresholds_of(values.pop("metrics", {}), source)
        gates = checked_gates(values.pop("gates", ()), known, source)
        groups = groups_of(values.pop("fairness", None), source)
        settings = {item.name for item in fields(cls)} - {"gates", "thresholds", "fairness"}
        for name in values:
            if name not in settings:
                raise NotFoundError(
                    f"{source} sets '{name}', which is no setting.",
                    nearest(name, {*settings, "gates", "metrics", "fairness"}),
                )
        checked: dict[str, Any] = {name: _checked(name, value, source) for name, value in values.items()}
        return cls(gates=gates, thresholds=thresholds, fairness=groups, **checked)

    def table(self) -> dict[str, Any]:
        """Return the policy as a table that :meth:`of` reads; what is not set is left out."""
        told = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "thresholds"}
        bounds = {
            name: {side: end for side, end in one._asdict().items() if end is not None}
            for name, one in self.thresholds.items()
        }
        if self.fairness is not None:
            told["fairness"] = {
                "columns": list(self.fairness.columns),
                "difference": self.fairness.difference,
            }
        return {
            **{name: value for name, value in told.items() if value is not None},
            "gates": list(self.gates),
            "metrics": bounds,
        }

    def whole(self, source: str) -> Policy:
        """Return the policy where a gate looks at each of its bounds.

        Args:
            source: What it is called in sentences.

        Raises:
            UsageError: It bounds metrics, or names groups, and its list of gates leaves out the gate that
                would look.
        """
        looked_at = {"[metrics]": ("quality", self.thresholds), "fairness": ("fairness", self.fairness)}
        for name, (gate, asked) in looked_at.items():
            if asked and not self.asks(gate):
                named = ", ".join(self.gates)
                raise UsageError(
                    f"{source} sets {name}, but its gates are {named}: nothing would look at it.",
                    f'Add "{gate}" to gates, or leave gates out.',
                )
        return self

    def with_thresholds(self, extra: Mapping[str, Any] | None) -> Policy:
        """Make a copy with more thresholds, which win over those of the same metric.

        Args:
            extra: Bounds by metric: ``{"min": .., "max": ..}``, or a number that is the minimum where
                higher is better and the maximum where lower is.
        """
        if not extra:
            return self
        return replace(self, thresholds={**self.thresholds, **thresholds_of(extra, "thresholds")})


def checked_gates(names: object, known: Iterable[str], source: str) -> tuple[str, ...]:
    """Accept names of gates.

    Raises:
        UsageError: It is no list of names.
        NotFoundError: There is no gate of that name.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(f"{source}: gates is {names!r}, not a list of names.", 'Write gates = ["quality"].')
    found = tuple(names)
    there = tuple(known)
    for name in found:
        if name not in there:
            raise NotFoundError(
                f"{source} asks for the gate '{name}', which is not there.", nearest(str(name), there)
            )
    return found


def thresholds_of(table: object, source: str) -> dict[str, Bounds]:
    """Accept bounds by metric.

    Raises:
        UsageError: A bound is no number.
        NotFoundError: There is no metric, or no bound, of that name.
    """
    if not isinstance(table, Mapping):
        raise UsageError(f"{source}: metrics is {table!r}, not a table.", "Write roc_auc = { min = 0.8 }.")
    found = {}
    for name, bounds in table.items():
        if name not in HIGHER_IS_BETTER:
            raise NotFoundError(
                f"{source} bounds '{name}', which is no metric.", nearest(str(name), HIGHER_IS_BETTER)
            )
        side = "min" if HIGHER_IS_BETTER[name] else "max"
        given = bounds if isinstance(bounds, Mapping) else {side: bounds}
        for key in given:
            if key not in Bounds._fields:
                raise NotFoundError(
                    f"{source}: {name} has the bound '{key}'.", nearest(str(key), Bounds._fields)
                )
        found[name] = Bounds(**{key: _number(f"{name}.{key}", value, source) for key, value in given.items()})
    return found


def groups_of(table: object, source: str) -> Groups | None:
    """Accept the columns whose groups are to be treated alike; None where there is no such table.

    Raises:
        UsageError: It is no table, names no columns, or its difference is no number of 0 or more.
        NotFoundError: It sets something else.
    """
    if table is None:
        return None
    form = 'Write fairness = { columns = ["sex"], difference = 0.1 }.'
    if not isinstance(table, Mapping):
        raise UsageError(f"{source}: fairness is {table!r}, not a table.", form)
    for key in table:
        if key not in Groups._fields:
            raise NotFoundError(f"{source}: fairness sets '{key}'.", nearest(str(key), Groups._fields))
    columns = table.get("columns")
    if (
        not isinstance(columns, list | tuple)
        or not columns
        or not all(isinstance(one, str) for one in columns)
    ):
        raise UsageError(f"{source}: fairness.columns is {columns!r}, not a list of columns.", form)
    usual = Groups(tuple(dict.fromkeys(columns)))
    difference = _number("fairness.difference", table.get("difference", usual.difference), source)
    if not 0 <= difference < math.inf:
        raise UsageError(f"{source}: fairness.difference is {difference:g}.", "Write a number of 0 or more.")
    return usual._replace(difference=difference)


def _number(name: str, value: object, source: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        what = f"{source}: {name} is {value!r}, not a number."
        raise UsageError(what, f"Write a number, as in {name} = 0.8.")
    return float(value)


def _column(value: object, source: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{source}: list_by is {value!r}.", 'Write a column, as in list_by = "query".')
    return value


def _flag(name: str, value: object, source: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{source}: {name} is {value!r}.", "Write true or false.")
    return value


def _checked(name: str, value: object, source: str) -> str | float:
    if name == "primary":
        if value not in HIGHER_IS_BETTER:
            what = f"{source}: primary is {value!r}, which is no metric."
            raise NotFoundError(what, nearest(str(value), HIGHER_IS_BETTER))
        return str(value)
    if name in _WORDS:
        if value not in _WORDS[name]:
            *others, last = (f'"{word}"' for word in _WORDS[name])
            raise UsageError(f"{source}: {name} is {value!r}.", f"Write {', '.join(others)} or {last}.")
        return str(value)
    if name == "allow_pickle":
        return _flag(name, value, source)
    if name == "list_by":
        return _column(value, source)
    if name == "top":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{source}: top is {value!r}.", "Write a whole number of rows, as in top = 100.")
        return value
    number = _number(name, value, source)
    top = 0.5 if name == "alpha" else math.inf  # an error beyond a coin's is no test
    zero = number == 0 and name in {"margin", "slice_drop", "noise_drop"}
    if not (0 < number <= top or zero):
        below = " and at most 0.5" if name == "alpha" else ""
        raise UsageError(f"{source}: {name} is {number:g}.", f"Write a number above 0{below}.")
    return number
