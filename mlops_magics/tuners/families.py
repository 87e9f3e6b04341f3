"""Which estimators are worth trying, and where to look for the parameters of each.

The spaces are written as a user writes them, and hold what the estimator is made with by default: so the
first trial is the estimator as it came, and no search ends worse than that.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.tuners.space import Space, parse

FAMILIES: Final = ("linear", "boosting", "forest", "lightgbm")

_BOOSTING: Final = (
    "learning_rate=0.01..0.3 log, max_iter=50..400 log, max_leaf_nodes=7..127 log, "
    "min_samples_leaf=5..200 log, l2_regularization=0.0|0.01|0.1|1.0|10.0, max_features=0.3..1.0"
)
_FOREST: Final = "max_features={}, min_samples_leaf=1..50 log, max_depth=none|6|10|16, n_estimators=50..300"
_FOREST_CLASSES: Final = _FOREST.format("sqrt|0.2|0.4|0.7|1.0")
_FOREST_NUMBERS: Final = _FOREST.format("1.0|sqrt|0.2|0.4|0.7")
_LIGHTGBM: Final = (
    "learning_rate=0.01..0.3 log, n_estimators=50..400 log, num_leaves=7..127 log, "
    "min_child_samples=5..200 log, reg_lambda=0.0|0.01|0.1|1.0|10.0, colsample_bytree=0.3..1.0"
)
_XGBOOST: Final = (
    "learning_rate=0.01..0.3 log, n_estimators=50..400 log, max_depth=2..10, min_child_weight=1..50 log, "
    "reg_lambda=0.0|0.01|0.1|1.0|10.0, subsample=0.5..1.0, colsample_bytree=0.3..1.0"
)
_XGBOOST_OWN: Final = {  # what XGBoost makes of None
    "learning_rate": 0.3,
    "n_estimators": 100,
    "max_depth": 6,
    "min_child_weight": 1,
    "reg_lambda": 1.0,
    "subsample": 1.0,
    "colsample_bytree": 1.0,
}
_TREE: Final = "max_depth=none|3|5|8|12, min_samples_leaf=1..100 log"
_GRADIENT: Final = (
    "learning_rate=0.01..0.3 log, n_estimators=50..400 log, max_depth=2..8, min_samples_leaf=1..50 log, "
    "subsample=0.5..1.0"
)
_NEIGHBOURS: Final = "n_neighbors=1..100 log, weights=uniform|distance"
_NETWORK: Final = "alpha=0.00001..0.1 log, learning_rate_init=0.0001..0.1 log"
_STOCHASTIC: Final = (
    "alpha=0.000001..0.1 log, penalty=l2|l1|elasticnet, l1_ratio=0.0..1.0 if penalty=elasticnet"
)
_SPACES: Final = {
    "LogisticRegression": "C=0.001..100.0 log",
    "LinearSVC": "C=0.001..100.0 log",
    "Ridge": "alpha=0.001..1000.0 log",
    "RidgeClassifier": "alpha=0.001..1000.0 log",
    "Lasso": "alpha=0.0001..10.0 log",
    "ElasticNet": "alpha=0.0001..10.0 log, l1_ratio=0.05..1.0",
    "SGDClassifier": _STOCHASTIC,
    "SGDRegressor": _STOCHASTIC,
    "SVC": "C=0.01..100.0 log, gamma=scale|auto|0.001|0.01|0.1|1.0",
    "SVR": "C=0.01..100.0 log, gamma=scale|auto|0.001|0.01|0.1|1.0, epsilon=0.01..1.0 log",
    "HistGradientBoostingClassifier": _BOOSTING,
    "HistGradientBoostingRegressor": _BOOSTING,
    "RandomForestClassifier": _FOREST_CLASSES,
    "RandomForestRegressor": _FOREST_NUMBERS,
    "ExtraTreesClassifier": _FOREST_CLASSES,
    "ExtraTreesRegressor": _FOREST_NUMBERS,
    "GradientBoostingClassifier": _GRADIENT,
    "GradientBoostingRegressor": _GRADIENT,
    "DecisionTreeClassifier": _TREE,
    "DecisionTreeRegressor": _TREE,
    "KNeighborsClassifier": _NEIGHBOURS,
    "KNeighborsRegressor": _NEIGHBOURS,
    "MLPClassifier": _NETWORK,
    "MLPRegressor": _NETWORK,
    "LGBMClassifier": _LIGHTGBM,
    "LGBMRegressor": _LIGHTGBM,
    "XGBClassifier": _XGBOOST,
    "XGBRegressor": _XGBOOST,
}
_INNER: Final = ("estimator", "regressor", "classifier")  # what scikit-learn's wrappers call what they wrap


@dataclass(frozen=True, slots=True)
class Candidate:
    """An estimator and where to look for its parameters.

    Attributes:
        name: What it is called among others.
        estimator: The estimator, not fitted.
        space: The space.
    """

    name: str
    estimator: Any
    space: Space

    def own(self) -> dict[str, Any]:
        """Return the parameters that the estimator came with, in numbers where None stands for one."""
        params: dict[str, Any] = self.estimator.get_params(deep=True)
        prefix, model = _last(self.estimator)
        if type(model).__module__.startswith("xgboost."):
            for name, value in _XGBOOST_OWN.items():
                if params.get(f"{prefix}{name}", value) is None:
                    params[f"{prefix}{name}"] = value
        return params


def candidate(name: str, estimator: Any, text: str | None = None) -> Candidate:  # noqa: ANN401 - any estimator
    """Take an estimator with the space that was written, or that of its own kind.

    Args:
        name: What to call it.
        estimator: A scikit-learn estimator.
        text: The space as the user wrote it.

    Raises:
        UsageError: The space is not understood, or none is known for the estimator.
    """
    prefix, model = _last(estimator)
    if text is None:
        text = _SPACES.get(type(model).__name__)
    if text is None:
        raise UsageError(
            f"No space is known for {type(model).__name__}.", "Write one: --space 'NAME=1..10, OTHER=a|b'."
        )
    return Candidate(name, estimator, parse(text, estimator.get_params(deep=True), prefix))


def model_of(family: str, *, classes: bool) -> Any:  # noqa: ANN401 - an estimator
    """Make the estimator of a family, with its generator seeded.

    Args:
        family: One of FAMILIES.
        classes: Whether classes are predicted, not numbers.
    """
    if family == "linear":
        from sklearn.linear_model import LogisticRegression, Ridge

        return LogisticRegression(max_iter=1000) if classes else Ridge()
    if family == "lightgbm":
        import lightgbm

        kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
        return kind(random_state=0, verbose=-1)
    from sklearn import ensemble

    stem = "HistGradientBoosting" if family == "boosting" else "RandomForest"
    return getattr(ensemble, f"{stem}{'Classifier' if classes else 'Regressor'}")(random_state=0)


def installed() -> tuple[str, ...]:
    """List the families that can be tried here."""
    return tuple(name for name in FAMILIES if name != "lightgbm" or importlib.util.find_spec("lightgbm"))


def _last(estimator: Any) -> tuple[str, Any]:  # noqa: ANN401 - any estimator
    """Find the estimator that predicts, and what stands before its parameters' names."""
    steps = getattr(estimator, "steps", None)
    if steps:
        name, inner = steps[-1]
    else:
        own = estimator.get_params(
            deep=False
        )  # a forest has an attribute of that name, which is no parameter
        held = ((name, own.get(name)) for name in _INNER)
        name, inner = next(((n, e) for n, e in held if hasattr(e, "get_params")), ("", None))
    if inner is None:
        return "", estimator
    prefix, model = _last(inner)
    return f"{name}__{prefix}", model
