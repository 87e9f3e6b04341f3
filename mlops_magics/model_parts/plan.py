"""Which column is prepared in which way, and the scikit-learn pipeline that does it.

Everything behind ``RawColumns`` is scikit-learn's own: its encoders are well kept, take unseen values
and gaps, and every reader of a model file knows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from mlops_magics.model_parts.dates import DateParts
from mlops_magics.model_parts.raw import RawColumns
from mlops_magics.model_parts.texts import FilledTexts

Style = Literal["trees", "filled trees", "scaled"]
Problem = Literal["binary", "classes", "number", ""]

_TREES: Final = (
    "sklearn.tree",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._iforest",
    "sklearn.ensemble._hist_gradient_boosting",
    "lightgbm",
    "xgboost",
    "catboost",
)
_TARGETS: Final = {"binary": "binary", "classes": "multiclass", "number": "continuous"}
_WORDS: Final = 4096  # buckets that the words of a text fall into
_THEMES: Final = 16  # numbers that a text becomes


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns that a model uses, by the way in which they are prepared.

    Attributes:
        numbers: Numbers and truth values.
        categories: Texts with few values.
        many: Texts with many values, which are replaced by what they say about the target.
        dates: Dates, with the parts that are taken from each.
        texts: Free texts.
        formats: How dates are written that are kept as text.
        problem: What is predicted; "" where nothing is.
    """

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    many: tuple[str, ...] = ()
    dates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    formats: dict[str, str] = field(default_factory=dict)
    problem: Problem = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.numbers, *self.categories, *self.many, *self.texts, *self.dates)


def style_of(model: Any) -> Style:  # noqa: ANN401 - any estimator
    """Tell how columns must be prepared for a model.

    Args:
        model: An estimator, or a search over one.

    Returns:
        "trees" for models that split at thresholds and take gaps, "filled trees" for those that take
        none, "scaled" for all others.
    """
    inner = model
    while (
        hasattr(inner, "estimator") and inner.estimator is not None and not isinstance(inner.estimator, str)
    ):
        inner = inner.estimator
    module = type(inner).__module__
    if not any(module == name or module.startswith(f"{name}.") for name in _TREES):
        return "scaled"
    return "trees" if _takes_gaps(inner) else "filled trees"


def _takes_gaps(model: Any) -> bool:  # noqa: ANN401 - any estimator
    try:
        from sklearn.utils import get_tags
    except ImportError:  # before scikit-learn 1.6
        return bool(model._get_tags()["allow_nan"])  # noqa: SLF001 - the only place it is there
    return bool(get_tags(model).input_tags.allow_nan)


def pipeline(plan: Plan, model: Any) -> Any:  # noqa: ANN401 - estimators
    """Put a model behind the preparation that suits it: one estimator that takes raw rows.

    Args:
        plan: The columns.
        model: The estimator, not fitted.
    """
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*preprocessing(plan, style_of(model)), model)


def preprocessing(plan: Plan, style: Style) -> list[Any]:
    """Make the steps that turn raw rows into numbers.

    Args:
        plan: The columns.
        style: For what kind of model.
    """
    from sklearn.compose import ColumnTransformer

    raw = RawColumns(
        numbers=list(plan.numbers),
        texts=[*plan.categories, *plan.many, *plan.texts],
        dates=list(plan.dates),
        formats=dict(plan.formats) or None,
    )
    parts = _scaled(plan) if style == "scaled" else _for_trees(plan)
    parts += [(f"text {place}", _themes(), [name]) for place, name in enumerate(plan.texts)]
    columns = ColumnTransformer(parts, sparse_threshold=0.0, verbose_feature_names_out=False)
    return [raw, columns, *([_filled()] if style == "filled trees" else [])]


def _for_trees(plan: Plan) -> list[tuple[str, Any, list[str]]]:
    from sklearn.preprocessing import OrdinalEncoder

    nan = np.nan
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=nan, encoded_missing_value=nan)
    return _some(
        ("numbers", "passthrough", list(plan.numbers)),
        ("categories", codes, list(plan.categories)),
        ("many", _by_target(plan), list(plan.many)),
        ("dates", DateParts([list(parts) for parts in plan.dates.values()]), list(plan.dates)),
    )


def _scaled(plan: Plan) -> list[tuple[str, Any, list[str]]]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    dates = DateParts([list(parts) for parts in plan.dates.values()])
    return _some(
        ("numbers", make_pipeline(_filled(), StandardScaler()), list(plan.numbers)),
        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(plan.categories)),
        ("many", make_pipeline(_by_target(plan), StandardScaler()), list(plan.many)),
        ("dates", make_pipeline(dates, _filled(), StandardScaler()), list(plan.dates)),
    )


def _some(*parts: tuple[str, Any, list[str]]) -> list[tuple[str, Any, list[str]]]:
    return [part for part in parts if part[2]]


def _filled() -> Any:  # noqa: ANN401 - a transformer
    from sklearn.impute import SimpleImputer

    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _by_target(plan: Plan) -> Any:  # noqa: ANN401 - a transformer
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import OneHotEncoder, TargetEncoder

    if not plan.problem:  # nothing is predicted: the most frequent values, and one column for the rest
        return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=31, sparse_output=False)
    kind = _TARGETS[plan.problem]
    if TargetEncoder().random_state is None:  # before scikit-learn 1.9
        return TargetEncoder(target_type=kind, random_state=0)
    folds = KFold if plan.problem == "number" else StratifiedKFold
    return TargetEncoder(target_type=kind, cv=folds(5, shuffle=True, random_state=0))


def _themes() -> Any:  # noqa: ANN401 - a transformer
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.pipeline import make_pipeline

    words = HashingVectorizer(n_features=_WORDS, alternate_sign=False)
    return make_pipeline(FilledTexts(), words, TruncatedSVD(_THEMES, random_state=0))
