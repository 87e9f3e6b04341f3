"""LightGBM's and XGBoost's trees, read from the text and the JSON that the libraries themselves write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.answers import Link, labels, logistic, softmax
from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Head,
    Shape,
    UnsupportedError,
    Value,
    attribute,
    matrix,
)
from mlops_magics.serving.plan.nodes import Trees
from mlops_magics.serving.plan.trees import Ensemble

_CATEGORY, _GAPS_LEFT = 1, 2  # bits of LightGBM's decision_type
_GAPS: Final = {0: "none", 1: "zero", 2: "nan"}  # its next two bits
_PLAIN: Final = frozenset({"regression", "regression_l1", "huber", "fair", "quantile", "mape"})
_EXPONENT: Final = frozenset({"poisson", "gamma", "tweedie"})


@dataclass(frozen=True, slots=True)
class _Boosted:
    """Sums of trees, and what a booster makes of them."""

    trees: Ensemble
    start: Array
    link: Link | None
    classes: Array | None

    def __call__(self, value: Value, method: Method) -> Array:
        sums = self.trees.sums(matrix(value), self.start)
        if self.classes is None:
            return (sums if self.link is None else self.link(sums))[:, 0]
        if method == "predict":
            return labels(sums, self.classes)
        return sums if self.link is None else self.link(sums)


def lightgbm(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of LightGBM's scikit-learn classes."""
    shape.only("number", what=model)
    text = attribute(model, "booster_").model_to_string()
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    facts = _facts(head)
    if "average_output" in head.splitlines():
        raise UnsupportedError("LightGBM averages its trees")
    members = [_lightgbm_tree(_facts(block)) for block in blocks]
    if not members:
        raise UnsupportedError("LightGBM has no tree")
    start = np.zeros(int(facts["num_tree_per_iteration"]))
    classes = getattr(model, "classes_", None)
    link = _lightgbm_link(facts.get("objective", ""))
    return _Boosted(Ensemble(_joined(members)), start, link, None if classes is None else np.asarray(classes))


def _facts(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _lightgbm_link(objective: str) -> Link | None:
    name, *options = objective.split()
    if name == "binary":
        steep = next((float(one.partition(":")[2]) for one in options if one.startswith("sigmoid:")), 1.0)
        return lambda sums: logistic(sums * steep)
    if name == "multiclass":
        return softmax
    if name in _PLAIN and "sqrt" not in options:
        return None
    if name in _EXPONENT:
        return np.exp
    raise UnsupportedError(f"LightGBM with the objective {name}")


def _lightgbm_tree(facts: Mapping[str, str]) -> Trees:
    """Read one tree: inner nodes are numbered from 0, a leaf is the complement of its number."""
    if facts.get("num_cat", "0") != "0" or facts.get("is_linear", "0") != "0":
        raise UnsupportedError("LightGBM has categories or linear models in its trees")
    leaves = _floats(facts, "leaf_value")
    if len(leaves) == 1:
        return _stump(leaves)
    left, right = (_whole(facts, name) for name in ("left_child", "right_child"))
    decisions, threshold = _whole(facts, "decision_type"), _floats(facts, "threshold")
    if (decisions & _CATEGORY).any():
        raise UnsupportedError("LightGBM has categories in its trees")
    gaps = (decisions >> 2) & 3
    if (gaps == 1).any():
        raise UnsupportedError("LightGBM takes zeros as missing")
    inner, size = len(left), len(left) + len(leaves)
    pad = np.zeros(len(leaves), dtype=np.intp)
    # Where training saw no gap, one is read as zero.
    gaps_left = np.where(gaps == 0, threshold >= 0, (decisions & _GAPS_LEFT) > 0)
    return Trees(
        feature=np.concatenate((_whole(facts, "split_feature"), pad)),
        threshold=np.concatenate((threshold, pad)),
        left=np.concatenate((np.where(left < 0, inner + ~left, left), pad)),
        right=np.concatenate((np.where(right < 0, inner + ~right, right), pad)),
        leaf=np.arange(size) >= inner,
        gaps_left=np.concatenate((gaps_left, pad.astype(bool))),
        value=np.concatenate((np.zeros(inner), leaves)).reshape(-1, 1),
        roots=np.zeros(1, dtype=np.intp),
    )


def _stump(value: Floats) -> Trees:
    nothing, false = np.zeros(1, dtype=np.intp), np.zeros(1, dtype=bool)
    return Trees(nothing, np.zeros(1), nothing, nothing, ~false, false, value.reshape(-1, 1), nothing)


def _floats(facts: Mapping[str, str], name: str) -> Floats:
    return np.array(facts[name].split(), dtype=np.float64)


def _whole(facts: Mapping[str, str], name: str) -> Any:  # noqa: ANN401 - an array of integers
    return np.array(facts[name].split(), dtype=np.intp)


def _joined(members: Sequence[Trees], *, single: bool = False) -> Trees:
    """Put trees into one array of nodes."""
    starts = np.cumsum([0, *(len(one.leaf) for one in members)])[:-1].astype(np.intp)
    pairs = list(zip(members, starts.tolist(), strict=True))
    return Trees(
        feature=np.concatenate([one.feature for one in members]),
        threshold=np.concatenate([one.threshold for one in members]),
        left=np.concatenate([one.left + start for one, start in pairs]),
        right=np.concatenate([one.right + start for one, start in pairs]),
        leaf=np.concatenate([one.leaf for one in members]),
        gaps_left=np.concatenate([one.gaps_left for one in members]),
        value=np.concatenate([one.value for one in members]),
        roots=starts,
        single=single,
    )


def xgboost(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of XGBoost's scikit-learn classes."""
    shape.only("number", what=model)
    missing = getattr(model, "missing", np.nan)
    if missing is not None and missing == missing:  # noqa: PLR0124 - NaN
        raise UnsupportedError(f"XGBoost takes {missing!r} as missing")
    learner = json.loads(bytes(attribute(model, "get_booster")().save_raw("json")))["learner"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise UnsupportedError(f"XGBoost with the booster {learner['gradient_booster']['name']}")
    body = learner["gradient_booster"]["model"]
    if "best_iteration" in learner["attributes"]:
        body = _until(body, int(learner["attributes"]["best_iteration"]) + 1)
    sums = max(int(learner["learner_model_param"]["num_class"]), 1)
    if body["tree_info"] != [place % sums for place in range(len(body["tree_info"]))] or not body["trees"]:
        raise UnsupportedError("XGBoost has its trees in an order that is not known")
    trees = Ensemble(_joined([_xgboost_tree(one) for one in body["trees"]], single=True))
    classes = np.arange(model.n_classes_) if hasattr(model, "n_classes_") else None
    return _xgboost_head(learner, trees, sums, classes)


def _until(body: Mapping[str, Any], rounds: int) -> Mapping[str, Any]:
    """Keep the first rounds of trees, as the library does after an early stop."""
    count = body["iteration_indptr"][rounds]
    return {"tree_info": body["tree_info"][:count], "trees": body["trees"][:count]}


def _xgboost_head(learner: Mapping[str, Any], trees: Ensemble, sums: int, classes: Array | None) -> Head:
    objective = learner["objective"]["name"]
    told = learner["learner_model_param"]["base_score"].strip("[]").split(",")
    base = np.broadcast_to(np.array(told, dtype=np.float32), sums)
    link: Link | None = None
    if objective == "binary:logistic":
        base, link = np.log(base / (1 - base)), _narrow_logistic
    elif objective == "multi:softprob":
        link = softmax
    elif objective in {"count:poisson", "reg:gamma", "reg:tweedie"}:
        base, link = np.log(base), np.exp
    elif objective not in {"reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"}:
        raise UnsupportedError(f"XGBoost with the objective {objective}")
    return _Boosted(trees, base, link, classes)


def _narrow_logistic(scores: Array) -> Array:
    found = np.empty((len(scores), 2), dtype=np.float32)
    found[:, 1] = 1 / (1 + np.exp(-scores[:, 0]))
    found[:, 0] = 1 - found[:, 1]
    return found


def _xgboost_tree(told: Mapping[str, Any]) -> Trees:
    """Read one tree, whose rows go left where they are below the threshold."""
    if any(told["split_type"]):
        raise UnsupportedError("XGBoost has categories in its trees")
    left = np.array(told["left_children"], dtype=np.intp)
    leaf = left < 0
    split = np.array(told["split_conditions"], dtype=np.float32).astype(np.float64)
    return Trees(
        feature=np.array(told["split_indices"], dtype=np.intp),
        threshold=np.nextafter(split, -np.inf),  # below a number is at most the next smaller one
        left=np.where(leaf, 0, left),
        right=np.where(leaf, 0, np.array(told["right_children"], dtype=np.intp)),
        leaf=leaf,
        gaps_left=np.array(told["default_left"], dtype=bool),
        value=split.astype(np.float32).reshape(-1, 1),
        roots=np.zeros(1, dtype=np.intp),
    )
