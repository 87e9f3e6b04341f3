"""The compiler: a fitted pipeline becomes a plan, a chain of operations on arrays without scikit-learn in it.

A request for one row costs scikit-learn milliseconds, nearly all of it for checking and copying frames. A
plan does the same arithmetic in the same order. It is used only where it gave the same answers as the
pipeline itself (``plan.parity``). A predictor that it does not know is asked itself, behind transformers that
it knows; for whatever else it does not know the pipeline answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.foundation.rooms import Room
from mlops_magics.serving.plan.base import (
    Array,
    Head,
    Kind,
    MakeHead,
    MakeStep,
    Piece,
    Shape,
    Step,
    UnsupportedError,
)
from mlops_magics.serving.plan.committees import MakeCommittee, Prepared
from mlops_magics.serving.plan.itself import itself, step_itself
from mlops_magics.serving.plan.numbers import unchanged
from mlops_magics.serving.plan.structure import Compile, by_column, chained, union
from mlops_magics.serving.rows import Columns

_HERE: Final = "mlops_magics.serving.plan"
_LINEAR: Final = (
    "LinearRegression",
    "Ridge",
    "RidgeCV",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "Lars",
    "ElasticNet",
    "ElasticNetCV",
    "BayesianRidge",
    "ARDRegression",
    "HuberRegressor",
    "QuantileRegressor",
    "SGDRegressor",
    "LinearSVR",
    "TheilSenRegressor",
    "TweedieRegressor",
    "PoissonRegressor",
    "GammaRegressor",
)
_LABELS: Final = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "SGDClassifier",
    "Perceptron",
    "PassiveAggressiveClassifier",
    "LinearSVC",
)
_SELECTORS: Final = (
    "VarianceThreshold",
    "SelectKBest",
    "SelectPercentile",
    "SelectFdr",
    "SelectFpr",
    "SelectFwe",
    "GenericUnivariateSelect",
    "SelectFromModel",
    "RFE",
    "RFECV",
    "SequentialFeatureSelector",
)

STEPS: Final[Room[MakeStep]] = Room(
    "plan_steps",
    {
        "sklearn.SimpleImputer": f"{_HERE}.numbers:imputer",
        "sklearn.StandardScaler": f"{_HERE}.numbers:standard_scaler",
        "sklearn.RobustScaler": f"{_HERE}.numbers:robust_scaler",
        "sklearn.MinMaxScaler": f"{_HERE}.numbers:range_scaler",
        "sklearn.MaxAbsScaler": f"{_HERE}.numbers:largest_scaler",
        "sklearn.FunctionTransformer": f"{_HERE}.numbers:function",
        "sklearn.PolynomialFeatures": f"{_HERE}.numbers:polynomial",
        "sklearn.OneHotEncoder": f"{_HERE}.encoders:encoder",
        "sklearn.OrdinalEncoder": f"{_HERE}.encoders:encoder",
        "sklearn.TargetEncoder": f"{_HERE}.encoders:encoder",
        "sklearn.HashingVectorizer": f"{_HERE}.encoders:words",
        "sklearn.CountVectorizer": f"{_HERE}.encoders:words",
        "sklearn.TfidfVectorizer": f"{_HERE}.encoders:words",
        "sklearn.TruncatedSVD": f"{_HERE}.encoders:projection",
        "sklearn.PCA": f"{_HERE}.encoders:projection",
        "mlops_magics.RawColumns": f"{_HERE}.structure:raw_columns",
        "mlops_magics.KeepColumns": f"{_HERE}.structure:keep_columns",
        "mlops_magics.DateParts": f"{_HERE}.encoders:date_parts",
        "mlops_magics.FilledTexts": f"{_HERE}.encoders:filled_texts",
        **{f"sklearn.{name}": f"{_HERE}.numbers:selector" for name in _SELECTORS},
    },
)
"""Transformers by package and class."""

HEADS: Final[Room[MakeHead]] = Room(
    "plan_heads",
    {
        "sklearn.RandomForestClassifier": f"{_HERE}.ensembles:forest",
        "sklearn.RandomForestRegressor": f"{_HERE}.ensembles:forest",
        "sklearn.ExtraTreesClassifier": f"{_HERE}.ensembles:forest",
        "sklearn.ExtraTreesRegressor": f"{_HERE}.ensembles:forest",
        "sklearn.DecisionTreeClassifier": f"{_HERE}.ensembles:tree",
        "sklearn.DecisionTreeRegressor": f"{_HERE}.ensembles:tree",
        "sklearn.ExtraTreeClassifier": f"{_HERE}.ensembles:tree",
        "sklearn.ExtraTreeRegressor": f"{_HERE}.ensembles:tree",
        "sklearn.GradientBoostingClassifier": f"{_HERE}.ensembles:gradient_boosting",
        "sklearn.GradientBoostingRegressor": f"{_HERE}.ensembles:gradient_boosting",
        "sklearn.HistGradientBoostingClassifier": f"{_HERE}.ensembles:histogram_boosting",
        "sklearn.HistGradientBoostingRegressor": f"{_HERE}.ensembles:histogram_boosting",
        "lightgbm.LGBMClassifier": f"{_HERE}.boosters:lightgbm",
        "lightgbm.LGBMRegressor": f"{_HERE}.boosters:lightgbm",
        "xgboost.XGBClassifier": f"{_HERE}.boosters:xgboost",
        "xgboost.XGBRegressor": f"{_HERE}.boosters:xgboost",
        "xgboost.XGBRFClassifier": f"{_HERE}.boosters:xgboost",
        "xgboost.XGBRFRegressor": f"{_HERE}.boosters:xgboost",
        **{f"sklearn.{name}": f"{_HERE}.linear:regressor" for name in _LINEAR},
        **{f"sklearn.{name}": f"{_HERE}.linear:classifier" for name in _LABELS},
    },
)
"""Predictors by package and class."""

COMMITTEES: Final[Room[MakeCommittee]] = Room(
    "plan_committees",
    {
        "sklearn.VotingClassifier": f"{_HERE}.committees:voting",
        "sklearn.VotingRegressor": f"{_HERE}.committees:averaging",
        "sklearn.StackingClassifier": f"{_HERE}.committees:stacking",
        "sklearn.StackingRegressor": f"{_HERE}.committees:stacking",
        "sklearn.CalibratedClassifierCV": f"{_HERE}.committees:calibrated",
        "sklearn.TransformedTargetRegressor": f"{_HERE}.committees:transformed_target",
    },
)
"""Predictors that are made of others, by package and class."""

_SEARCHES: Final = frozenset(
    {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}
)
_COMPOSED: Final = frozenset({"sklearn.Pipeline", "sklearn.ColumnTransformer", "sklearn.FeatureUnion"})
_KINDS: Final[dict[str, Kind]] = {
    "double": "number",
    "float": "number",
    "long": "number",
    "integer": "number",
    "boolean": "number",
    "string": "text",
    "datetime": "moment",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled pipeline; an engine as `predictor.PipelineEngine` is.

    Attributes:
        prepare: Everything before the predictor.
        head: The predictor.
        itself: Why fitted parts themselves are asked, the predictor or transformers before it; "" where all
            are compiled.
    """

    prepare: Step
    head: Head
    itself: str = ""

    def predict(self, columns: Columns, rows: int, method: Method) -> Array:
        """Answer each row.

        Args:
            columns: One array a column, in the model's order.
            rows: How many rows there are.
            method: Which method of the estimator is asked.

        Raises:
            ValueError: The pipeline would have refused these rows, too.
        """
        del rows
        return self.head(self.prepare(list(columns.values())), method)


def compile_plan(loaded: LoadedModel) -> Plan:
    """Make a plan of a model.

    Args:
        loaded: The model.

    Returns:
        The plan, not compared with the model yet.

    Raises:
        UnsupportedError: Something in the model is not known; the text says what.
    """
    if loaded.schema is None:
        raise UnsupportedError("the model has no signature")
    columns = loaded.schema.columns
    if unknown := {column.type for column in columns} - _KINDS.keys():
        raise UnsupportedError(f"a column is of the type {min(unknown)}")
    kinds = tuple(
        "text" if column.type == "boolean" and not column.required else _KINDS[column.type]
        for column in columns
    )
    shape = Shape(kinds, loaded.schema.names)
    try:
        return _plan(loaded.estimator, shape)
    except (AttributeError, TypeError, KeyError, IndexError) as error:  # a version whose insides differ
        raise UnsupportedError(f"the model is not as expected ({type(error).__name__}: {error})") from error


def _plan(model: Any, shape: Shape) -> Plan:  # noqa: ANN401 - any estimator
    """Compile an estimator; what is not known in it is asked itself, between parts that are."""
    *before, last = _flattened(model)
    piece = chained(before, shape, _known_or_itself)
    asked = list(piece.itself)
    try:
        head = _head(last, piece.shape)
    except UnsupportedError as why:
        if piece.step is unchanged:
            raise
        head = itself(last, piece.shape)
        asked.append(str(why))
    return Plan(piece.step, head, "; ".join(dict.fromkeys(asked)))


def _whole(model: Any, shape: Shape) -> tuple[Step, Head]:  # noqa: ANN401 - any estimator
    """Compile an estimator: all before its predictor, and that."""
    steps = _flattened(model)
    piece = chained(steps[:-1], shape, _step)
    return piece.step, _head(steps[-1], piece.shape)


def _nested(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - same
    """Compile an estimator that is part of another."""
    step, head = _whole(model, shape)
    return head if step is unchanged else Prepared(step, head)


def _flattened(model: Any) -> list[Any]:  # noqa: ANN401 - any estimator
    """List a pipeline's steps, those of pipelines at its end and of a search's best one among them."""
    name = _known_as(model)
    if name.startswith("sklearn.") and type(model).__name__ in _SEARCHES:
        return _flattened(model.best_estimator_)
    if name == "sklearn.Pipeline":
        *before, last = [step for _, step in model.steps]
        return [*before, *_flattened(last)]
    return [model]


def _known_as(part: object) -> str:
    return f"{type(part).__module__.partition('.')[0]}.{type(part).__name__}"


def _step(part: Any, shape: Shape, inner: Compile | None = None) -> Piece:  # noqa: ANN401 - any transformer
    """Compile a transformer, those in it by another compiler where one is given."""
    inner = inner or _step
    match _known_as(part):
        case "sklearn.Pipeline":
            return chained([step for _, step in part.steps], shape, inner)
        case "sklearn.ColumnTransformer":
            return by_column(part, shape, inner)
        case "sklearn.FeatureUnion":
            return union(part, shape, inner)
        case name:
            make: MakeStep = _found(STEPS, name)
            return make(part, shape)


def _known_or_itself(part: Any, shape: Shape) -> Piece:  # noqa: ANN401 - any transformer
    """Compile a transformer; one of numbers that is not known is asked itself."""
    try:
        return _step(part, shape, _known_or_itself)
    except UnsupportedError as why:
        if _known_as(part) in _COMPOSED:
            raise
        return step_itself(part, shape, str(why))


def _head(part: Any, shape: Shape) -> Head:  # noqa: ANN401 - any predictor
    name = _known_as(part)
    if name in COMMITTEES.table:
        together: MakeCommittee = COMMITTEES.get(name)
        return together(part, shape, _nested)
    make: MakeHead = _found(HEADS, name)
    return make(part, shape)


def _found(room: Room[Any], name: str) -> Any:  # noqa: ANN401 - a part of the room
    try:
        return room.get(name)
    except NotFoundError:
        raise UnsupportedError(f"{name.partition('.')[2]} is not known to the compiler") from None
