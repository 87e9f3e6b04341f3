"""What an assessment found: frozen, and able to be written down and read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlops_magics.checks.base import Verdict
from mlops_magics.checks.discovery import Portion, Search
from mlops_magics.checks.metrics import Metric
from mlops_magics.checks.paired import Comparison
from mlops_magics.checks.points import Confusion, Curve
from mlops_magics.checks.problem import Kind
from mlops_magics.checks.slicing import Slice
from mlops_magics.foundation.errors import UsageError


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that assessing a model found.

    Attributes:
        kind: "binary", "multiclass", "regression" or "ranking".
        target: The column that is predicted.
        classes: The classes as text; of two, the second is the positive one.
        rows: How many rows were looked at.
        metrics: The metrics, with intervals.
        comparisons: Candidate beside champion, metric by metric; none without a champion.
        verdicts: One a gate.
        slices: The slices that were asked for.
        curves: Curves as few points.
        confusion: Which class was taken for which; None where there are no classes.
        primary: The metric that champion and slices are judged by.
        margin: How much worse than the champion was still "not worse".
        seconds: How long it took.
        search: Portions that nobody named and in which it is worse; None where none were looked for.
        policy: The gates and bounds that it was judged by, as ``Policy.table`` writes them.
    """

    kind: Kind
    target: str
    classes: tuple[str, ...]
    rows: int
    metrics: tuple[Metric, ...]
    comparisons: tuple[Comparison, ...]
    verdicts: tuple[Verdict, ...]
    slices: tuple[Slice, ...]
    curves: tuple[Curve, ...]
    confusion: Confusion | None
    primary: str
    margin: float
    seconds: float
    search: Search | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The gates that failed, by name."""
        return tuple(verdict.name for verdict in self.verdicts if verdict.outcome == "fail")

    def value(self, metric: str) -> float | None:
        """A metric's value by name; None where it is not defined or not finite."""
        found = next((one.value for one in self.metrics if one.name == metric), math.nan)
        return found if math.isfinite(found) else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types; what is not finite is None."""
        plain: dict[str, Any] = _finite({**asdict(self), "passed": self.passed})
        return plain

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Assessment:
        """Read what :meth:`to_dict` wrote.

        Raises:
            UsageError: It is something else.
        """
        try:
            fields = {name: value for name, value in table.items() if name != "passed"}
            confusion = fields["confusion"]
            return cls(
                **fields
                | {
                    "classes": tuple(fields["classes"]),
                    "metrics": tuple(Metric(**_numbers(item, "value")) for item in fields["metrics"]),
                    "comparisons": tuple(
                        Comparison(**_numbers(item, *_COMPARED)) for item in fields["comparisons"]
                    ),
                    "verdicts": tuple(Verdict(**item) for item in fields["verdicts"]),
                    "slices": tuple(Slice(**item) for item in fields["slices"]),
                    "curves": tuple(Curve(**_tuples(item)) for item in fields["curves"]),
                    "search": None if fields.get("search") is None else _search(fields["search"]),
                    "confusion": None if confusion is None else _confusion(confusion),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                "This is no assessment as this release writes it.", "Evaluate the model again."
            ) from error


_COMPARED = ("candidate", "champion", "difference", "low", "high", "p_value")


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON types in and out
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _numbers(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: math.nan if key in names and value is None else value for key, value in item.items()}


def _tuples(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list | tuple) else value for key, value in item.items()}


def _search(item: Mapping[str, Any]) -> Search:
    portions = tuple(
        Portion(**one | {"where": tuple((column, level) for column, level in one["where"])})
        for one in item["portions"]
    )
    return Search(portions, item["tried"])


def _confusion(item: Mapping[str, Any]) -> Confusion:
    return Confusion(tuple(item["labels"]), tuple(tuple(row) for row in item["counts"]))
