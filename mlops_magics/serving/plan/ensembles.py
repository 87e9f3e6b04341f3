"""scikit-learn's trees, forests and boosted trees, read from what fitting left in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_magics.artifact.loading import Method
from mlops_magics.serving.plan.answers import Chances, logistic, softmax
from mlops_magics.serving.plan.base import (
    Array,
    Floats,
    Head,
    Shape,
    Step,
    UnsupportedError,
    Value,
    attribute,
    finite,
    matrix,
    no_infinity,
)
from mlops_magics.serving.plan.encoders import encoder
from mlops_magics.serving.plan.nodes import Trees
from mlops_magics.serving.plan.numbers import Chosen
from mlops_magics.serving.plan.trees import Ensemble


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean over all trees."""

    trees: Ensemble
    outputs: int
    checked: Any

    def __call__(self, value: Value) -> Floats:
        columns = self.checked(value)
        return self.trees.sums(columns, np.zeros(self.outputs)) / self.trees.width


@dataclass(frozen=True, slots=True)
class _Average:
    """A regression forest's answer."""

    mean: _Mean

    def __call__(self, value: Value, method: Method) -> Array:
        del method
        return self.mean(value)[:, 0]


@dataclass(frozen=True, slots=True)
class _Boosted:
    """The sum that boosted trees add up to."""

    trees: Ensemble
    start: Floats
    checked: Any

    def __call__(self, value: Value) -> Floats:
        return self.trees.sums(self.checked(value), self.start)


@dataclass(frozen=True, slots=True)
class _Linked:
    """A boosted regression's answer: its sum through the inverse of its loss' link."""

    raw: _Boosted
    exponent: bool

    def __call__(self, value: Value, method: Method) -> Array:
        del method
        found = self.raw(value)[:, 0]
        return np.exp(found) if self.exponent else found


def forest(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of a random forest or of extremely random trees."""
    return _averaged(model, attribute(model, "estimators_"), shape)


def tree(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of one decision tree."""
    return _averaged(model, [model], shape)


def _averaged(model: Any, members: Sequence[Any], shape: Shape) -> Head:  # noqa: ANN401 - fitted estimators
    shape.only("number", "sparse", what=model)
    if attribute(model, "n_outputs_") != 1:
        raise UnsupportedError(f"{type(model).__name__} answers with several outputs")
    trees = Ensemble(_grown([attribute(member, "tree_") for member in members]))
    gaps = bool(np.any([_takes_gaps(member) for member in members[:1]]))
    checked = no_infinity if gaps else finite
    classes = getattr(model, "classes_", None)
    if classes is None:
        return _Average(_Mean(trees, 1, checked))
    return Chances(_Mean(trees, len(classes), checked), np.asarray(classes))


def _takes_gaps(member: Any) -> bool:  # noqa: ANN401 - a fitted tree
    """Ask as scikit-learn does; older versions, which have no word for it, take none."""
    try:
        return bool(member._support_missing_values(np.zeros((1, 1))))  # noqa: SLF001 - there is no public word
    except AttributeError:
        return False


def _grown(members: Sequence[Any]) -> Trees:
    """Read Cython trees: a child that is missing is -1, and values are rounded to 32 bits."""
    sizes = [one.node_count for one in members]
    shift = np.repeat(np.concatenate(([0], np.cumsum(sizes)[:-1])), sizes)
    left = np.concatenate([one.children_left for one in members])
    right = np.concatenate([one.children_right for one in members])
    leaf = left < 0
    gaps = np.concatenate([_gaps_left(one) for one in members])
    return Trees(
        feature=np.concatenate([one.feature for one in members]).astype(np.intp),
        threshold=np.concatenate([one.threshold for one in members]),
        left=np.where(leaf, 0, left + shift).astype(np.intp),
        right=np.where(leaf, 0, right + shift).astype(np.intp),
        leaf=leaf,
        gaps_left=gaps,
        value=np.concatenate([one.value[:, 0, :] for one in members]),
        roots=np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp),
        single=True,
        grown=members,
    )


def _gaps_left(one: Any) -> Array:  # noqa: ANN401 - a Cython tree
    found = getattr(one, "missing_go_to_left", None)
    return np.zeros(one.node_count, dtype=bool) if found is None else np.asarray(found).astype(bool)


def gradient_boosting(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of GradientBoostingClassifier or GradientBoostingRegressor."""
    shape.only("number", "sparse", what=model)
    stages = attribute(model, "estimators_")
    grown = _grown([one.tree_ for one in stages.ravel()])
    scaled = Trees(
        **{name: getattr(grown, name) for name in Trees.__slots__ if name != "value"},
        value=grown.value * model.learning_rate,
    )
    raw = _Boosted(Ensemble(scaled), _prior(model, stages.shape[1], shape.width), finite)
    classes = getattr(model, "classes_", None)
    if classes is None:
        return _Linked(raw, exponent=False)
    if model.loss != "log_loss":
        raise UnsupportedError(f"GradientBoostingClassifier with the loss {model.loss}")
    return Chances(raw, np.asarray(classes), logistic if stages.shape[1] == 1 else softmax)


def _prior(model: Any, sums: int, width: int) -> Floats:  # noqa: ANN401 - a fitted estimator
    """Find what the sums begin with: the answer of a dummy, which is the same for each row."""
    first = attribute(model, "init_")
    if isinstance(first, str):
        return np.zeros(sums)
    if type(first).__name__ not in {"DummyClassifier", "DummyRegressor"}:
        raise UnsupportedError(f"{type(model).__name__} begins with {type(first).__name__}")
    row = np.zeros((1, width), dtype=np.float32)
    return np.asarray(model._raw_predict_init(row), dtype=np.float64).ravel()  # noqa: SLF001 - no public word


def histogram_boosting(model: Any, shape: Shape) -> Head:  # noqa: ANN401 - a fitted estimator
    """Make the head of HistGradientBoostingClassifier or HistGradientBoostingRegressor."""
    first = attribute(model, "_preprocessor")
    if first is None:
        shape.only("number", what=model)
    prepared = matrix if first is None else _encoding(first, shape)
    stages = [one for some in attribute(model, "_predictors") for one in some]
    start = np.asarray(attribute(model, "_baseline_prediction"), dtype=np.float64).ravel()
    raw = _Boosted(Ensemble(_binned(stages, attribute(model, "_bin_mapper"))), start, prepared)
    classes = getattr(model, "classes_", None)
    if classes is not None:
        return Chances(raw, np.asarray(classes), logistic if len(start) == 1 else softmax)
    link = type(attribute(attribute(model, "_loss"), "link")).__name__
    if link not in {"IdentityLink", "LogLink"}:
        raise UnsupportedError(f"HistGradientBoostingRegressor with the link {link}")
    return _Linked(raw, exponent=link == "LogLink")


def _encoding(first: Any, shape: Shape) -> Step:  # noqa: ANN401 - a fitted ColumnTransformer
    """Encode the columns of categories, which come first then, and leave those of numbers as they are."""
    (_, made, mask), (_, _, rest) = attribute(first, "transformers_")[:2]
    places, others = (tuple(np.flatnonzero(each).tolist()) for each in (mask, rest))
    shape.take(others).only("number", what=first)
    encode, choose, keep = encoder(made, shape.take(places)).step, Chosen(places), Chosen(others)
    if not others:
        return lambda value: encode(choose(value))
    return lambda value: np.concatenate((encode(choose(value)), matrix(keep(value))))


def _binned(members: Sequence[Any], mapper: Any) -> Trees:  # noqa: ANN401 - what HistGradientBoosting keeps
    """Read arrays of nodes, as HistGradientBoosting keeps them."""
    arrays = [one.nodes for one in members]
    sizes = [len(one) for one in arrays]
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
    nodes = np.concatenate(arrays)
    leaf = nodes["is_leaf"].astype(bool)
    sets, codes = _categories(members, nodes, roots, mapper)
    shift = np.repeat(roots, sizes)
    return Trees(
        feature=nodes["feature_idx"].astype(np.intp),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, 0, nodes["left"].astype(np.intp) + shift),
        right=np.where(leaf, 0, nodes["right"].astype(np.intp) + shift),
        leaf=leaf,
        gaps_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float64).reshape(-1, 1),
        roots=roots,
        sets=sets,
        codes=codes,
    )


def _categories(
    members: Sequence[Any],
    nodes: Array,
    roots: Array,
    mapper: Any,  # noqa: ANN401 - what HistGradientBoosting keeps
) -> tuple[dict[int, Array], dict[int, Array]]:
    """Read which codes go left at nodes that ask for a category, and which codes such columns have."""
    asked = np.flatnonzero(nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool))
    if not len(asked):
        return {}, {}
    owner = np.searchsorted(roots, asked, side="right") - 1
    sets = {
        int(node): _bits(members[tree].raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        for node, tree in zip(asked.tolist(), owner.tolist(), strict=True)
    }
    known, places = mapper.make_known_categories_bitsets()
    columns = np.unique(nodes["feature_idx"][asked]).tolist()
    return sets, {column: _bits(known[places[column]]) for column in columns}


def _bits(words: Array) -> Array:
    """Spread the bits of a set out: 256 of them in eight words."""
    return np.unpackbits(np.ascontiguousarray(words, dtype="<u4").view(np.uint8), bitorder="little").astype(
        bool
    )
