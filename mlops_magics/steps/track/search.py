"""A fitted search: its candidates as a table, the best one as parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TABLE = "mlops/search.json"  # rows and columns as MLflow's page shows tables
_SCORES = ("mean_test_score", "std_test_score", "rank_test_score", "mean_fit_time")


@dataclass(frozen=True, slots=True)
class Search:
    """What is kept of a search.

    Attributes:
        params: The best candidate's parameters, each name after ``best_``.
        metrics: The best candidate's score.
        files: The table of all candidates.
        tags: Where MLflow's page finds the table.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, estimator: Any) -> Search:  # noqa: ANN401 - any estimator
        """Read a fitted search of scikit-learn's kind; of anything else nothing is kept."""
        results = getattr(estimator, "cv_results_", None)
        if not isinstance(results, Mapping) or "params" not in results:
            return cls()
        best = getattr(estimator, "best_params_", {})
        score = getattr(estimator, "best_score_", math.nan)
        names = [name for name in results if name.startswith("param_")]
        scores = [
            name
            for name in (*_SCORES, *results)
            if name in results and name.startswith(("mean_", "std_", "rank_"))
        ]
        columns = [*names, *dict.fromkeys(scores)]
        rows = [[_plain(results[name][row]) for name in columns] for row in range(len(results["params"]))]
        shown = [name.removeprefix("param_") for name in columns]
        return cls(
            {f"best_{name.rpartition('__')[2]}": str(value) for name, value in best.items()},
            {"best_score": float(score)} if math.isfinite(score) else {},
            {_TABLE: json.dumps({"columns": shown, "data": rows})},
            {"mlflow.loggedArtifacts": json.dumps([{"path": _TABLE, "type": "table"}])},
        )


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of a table
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
