"""What a .skops file may hold: our own list of types, and what is checked inside of them.

Skops calls what a file names: a class with arguments, ``__setstate__`` with a state, a function as a
value. So a type is on the list only if no arguments and no state make it run code, read a path or
call something that the file chose. Each is trusted only in the role (skops calls it a loader) in
which its own models use it: ``numpy.dtype`` describes a dtype and is never called with a list.

Some types hold raw indices that compiled code follows without looking: trees of all kinds, splines,
sparse matrices. A type cannot vouch for those, which is why skops trusts no tree. `check` reads them
before the first prediction does; the model of a booster, which is followed while it is loaded, is read by
`untrusted`.

Our own ``model_parts`` are on it: they hold names of columns and of formats, look both up in fixed tables
or hand them to pandas as data, and run nothing that a file could choose.

Not on the list, on purpose: ``operator.*``, bound methods, anything of joblib, ``builtins`` beyond
``object``, functions that open files, and every class of a user. ``functools.partial`` is taken for
scikit-learn's own ``check_array`` alone, which boosting keeps for its categories.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

from mlops_magics.artifact import boosters
from mlops_magics.foundation.errors import MLOpsError, RefusedError

_OBJECTS = """
    lightgbm.basic: Booster _InnerPredictor
    lightgbm.sklearn: LGBMClassifier LGBMRanker LGBMRegressor
    xgboost.core.Booster
    xgboost.sklearn: XGBClassifier XGBRanker XGBRegressor XGBRFClassifier XGBRFRegressor
    mlops_magics.model_parts.dates.DateParts
    mlops_magics.model_parts.keep.KeepColumns
    mlops_magics.model_parts.raw.RawColumns
    mlops_magics.model_parts.texts.FilledTexts
    sklearn.ensemble._hist_gradient_boosting.binning._BinMapper
    sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor
    sklearn._loss.link: IdentityLink Interval LogLink LogitLink HalfLogitLink MultinomialLogit
    sklearn._loss.loss: AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss
    sklearn._loss.loss: HalfPoissonLoss HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity
    sklearn._loss.loss: HuberLoss PinballLoss
    sklearn.calibration: _CalibratedClassifier _SigmoidCalibration _TemperatureScaling
    sklearn.cluster._bisect_k_means._BisectingTree
    sklearn.compose._column_transformer: make_column_selector _RemainderColsList
    sklearn.impute._iterative.IterativeImputer
    sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace
    sklearn.gaussian_process.kernels: CompoundKernel ConstantKernel DotProduct Exponentiation
    sklearn.gaussian_process.kernels: ExpSineSquared Matern Product RBF RationalQuadratic Sum WhiteKernel
    sklearn.metrics._dist_metrics: ChebyshevDistance64 EuclideanDistance64 ManhattanDistance64
    sklearn.metrics._scorer: _CurveScorer _PassthroughScorer _Scorer
    sklearn.model_selection._search_successive_halving: HalvingGridSearchCV HalvingRandomSearchCV
    sklearn.model_selection._split: GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut
    sklearn.model_selection._split: RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold
    sklearn.model_selection._split: StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit
    sklearn.multiclass._ConstantPredictor
    sklearn.neighbors._ball_tree.BallTree
    sklearn.neighbors._kd_tree.KDTree
    sklearn.neural_network._stochastic_optimizers: AdamOptimizer SGDOptimizer
    sklearn.utils._metadata_requests: MetadataRequest MethodMetadataRequest
    scipy.interpolate._bsplines.BSpline
"""
_FUNCTIONS = """
    numpy: mean median
    scipy._lib.array_api_compat.numpy._aliases.asarray
    sklearn.cluster._kmeans: _kmeans_single_elkan _kmeans_single_lloyd
    sklearn.feature_selection._mutual_info: mutual_info_classif mutual_info_regression
    sklearn.feature_selection._univariate_selection: chi2 f_classif f_oneway f_regression r_regression
    sklearn.metrics._classification: accuracy_score balanced_accuracy_score brier_score_loss
    sklearn.metrics._classification: cohen_kappa_score d2_log_loss_score f1_score fbeta_score jaccard_score
    sklearn.metrics._classification: log_loss matthews_corrcoef precision_score recall_score
    sklearn.metrics._ranking: average_precision_score roc_auc_score
    sklearn.metrics._regression: explained_variance_score max_error mean_absolute_error
    sklearn.metrics._regression: mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss
    sklearn.metrics._regression: mean_poisson_deviance mean_squared_error mean_squared_log_error
    sklearn.metrics._regression: median_absolute_error r2_score root_mean_squared_error
    sklearn.metrics._regression: root_mean_squared_log_error
    sklearn.utils.validation.check_array
"""
_ROLES = {
    "ObjectNode": _OBJECTS,
    "FunctionNode": _FUNCTIONS,
    "PartialNode": "functools.partial",
    "TreeNode": "sklearn.tree._tree.Tree",
    "TupleNode": "sklearn.impute._iterative._ImputerTriplet",
    "DTypeNode": "numpy.dtype",
    "TypeNode": "builtins.object",
    "DictNode": "collections.OrderedDict \n sklearn.utils._bunch.Bunch",
    "SparseMatrixNode": """
        scipy.sparse._bsr.bsr_matrix \n scipy.sparse._coo.coo_matrix \n scipy.sparse._csc.csc_matrix
        scipy.sparse._csr.csr_matrix \n scipy.sparse._dia.dia_matrix
    """,
}


def _names(text: str) -> Iterator[str]:
    """Read full names, and lines of one module with several names of it."""
    for line in filter(None, map(str.strip, text.splitlines())):
        module, colon, names = line.partition(":")
        yield from (f"{module}.{name}" for name in names.split()) if colon else (module,)


_PARTIAL = "sklearn.utils.validation.check_array"
_ALSO = frozenset({("collections.OrderedDict", "TypeNode")})  # what a booster's dictionary of scores makes
_ROLE_OF = {name: role for role, text in _ROLES.items() for name in _names(text)}

TRUSTED: frozenset[str] = frozenset(_ROLE_OF)
"""Names of types that skops does not trust by itself and that we do, each in one role only."""


@dataclass(frozen=True, slots=True)
class Types:
    """What a .skops file holds.

    Attributes:
        foreign: Types that neither skops nor our list trusts, sorted; one of ours outside of its role is
            named with that role.
        ours: Types that only our list trusts, sorted.
        all: Each type with its role.
    """

    foreign: tuple[str, ...]
    ours: tuple[str, ...]
    all: frozenset[tuple[str, str]]


def types(path: Path) -> Types:
    """Name the types in a .skops file.

    Nothing of the file is imported or run.

    Args:
        path: The file.

    Raises:
        MLOpsError: The file is not a readable .skops file.
        RefusedError: All types are trusted, and a booster among them holds a damaged model.
    """
    import skops.io

    try:
        asked = set(skops.io.get_untrusted_types(file=path))
        with zipfile.ZipFile(path) as archive:
            schema = json.loads(archive.read("schema.json"))
    except Exception as error:
        raise MLOpsError(
            f"{path.name} cannot be read as a .skops file ({type(error).__name__}).",
            "It is damaged, or made by another version of skops: log the model again.",
        ) from error
    found = frozenset(_found(schema))
    foreign = (asked - TRUSTED) | set(_misplaced(found))
    if not foreign:
        with zipfile.ZipFile(path) as archive:
            boosters.check_nodes(schema, archive.read)
    return Types(tuple(sorted(foreign)), tuple(sorted(asked & TRUSTED)), found)


def untrusted(path: Path) -> tuple[str, ...]:
    """Name the types in a .skops file that neither skops nor our list trusts.

    Args:
        path: The file.

    Raises:
        MLOpsError: The file is not a readable .skops file.
    """
    return types(path).foreign


def _found(schema: object) -> Iterator[tuple[str, str]]:
    """List the types with their roles; a partial as the function that it calls."""
    open_ends = [schema]
    while open_ends:
        node = open_ends.pop()
        if isinstance(node, dict):
            open_ends.extend(node.values())
            role = node.get("__loader__")
            if isinstance(role, str):
                yield _name(node), role
                if role == "PartialNode":
                    yield _name(node["content"]["func"]), "partial"
        elif isinstance(node, list):
            open_ends.extend(node)


def _misplaced(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Find types of our list in another role than their own."""
    for name, role in found:
        if role == "partial":
            if name != _PARTIAL:
                yield f"functools.partial of {name}"
        elif _ROLE_OF.get(name, role) != role and (name, role) not in _ALSO:
            yield f"{name} as {role}"


def _name(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def check(estimator: object) -> None:
    """Refuse a loaded estimator whose inner indices lead out of its own memory.

    Args:
        estimator: What skops made of a file, before it predicts anything.

    Raises:
        RefusedError: A tree, a spline or a matrix points outside of itself, or a vectorizer would
            open files named by a request.
    """
    for part in parts(estimator):
        try:
            sound = _sound(part)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError):
            sound = False  # a state that cannot even be read was not written by scikit-learn
        if not sound:
            raise RefusedError(
                f"The model holds a damaged {type(part).__name__}: it points outside of itself.",
                "The file was altered or made by another version: train and log the model again.",
            )


_ATOMS = (str, bytes, int, float, type(None), type, FunctionType)


def parts(root: object) -> Iterator[object]:
    """Walk over everything that an estimator holds, each object once.

    Args:
        root: The estimator.

    Yields:
        The estimator and each container, array and object in it; no texts and numbers.
    """
    seen: set[int] = set()
    keep: list[object] = []  # an id is only valid while its object lives
    open_ends: list[object] = [root]
    while open_ends:
        part = open_ends.pop()
        if isinstance(part, _ATOMS) or id(part) in seen:
            continue
        seen.add(id(part))
        keep.append(part)
        yield part
        open_ends.extend(_inside(part))


def _inside(part: Any) -> Iterator[object]:  # noqa: ANN401 - anything that skops can make
    if isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, list | tuple | set):
        yield from part
    elif isinstance(part, partial):
        yield from (part.args, part.keywords)
    elif getattr(getattr(part, "dtype", None), "hasobject", False):
        yield from part.ravel().tolist()
    if hasattr(part, "__dict__"):
        yield from vars(part).values()


def _sound(part: Any) -> bool:  # noqa: ANN401 - anything that skops can make
    rule = _RULES.get(f"{type(part).__module__}.{type(part).__qualname__}")
    if rule is not None and not rule(part):
        return False
    if not hasattr(part, "__dict__"):
        return True
    state = vars(part)
    return (
        state.get("input") != "filename"  # text vectorizers would read the files a request names
        and ("tree_" not in state or getattr(part.tree_, "n_features", 0) <= part.n_features_in_)
        and (type(part).__module__ not in _ENSEMBLES or "estimators_" not in state or _ensemble(part))
        and ("_predictors" not in state or _boosted(part))
    )


def _tree(tree: Any) -> bool:  # noqa: ANN401 - a compiled class without types
    """Children lie behind their parent, inside the tree; features exist."""
    import numpy as np

    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1
    here = np.arange(len(left))[inner]
    return bool(
        len(left) > 0
        and _within(left[inner], here + 1, len(left))
        and _within(right[inner], here + 1, len(left))
        and _within(feature[inner], 0, tree.n_features)
    )


def _predictor(tree: Any) -> bool:  # noqa: ANN401 - scikit-learn ships no types
    import numpy as np

    nodes, bits = tree.nodes, tree.raw_left_cat_bitsets
    inner = nodes[nodes["is_leaf"] == 0]
    here = np.flatnonzero(nodes["is_leaf"] == 0)
    return bool(
        len(nodes) > 0
        and nodes.ndim == 1
        and _within(inner["left"], here + 1, len(nodes))
        and _within(inner["right"], here + 1, len(nodes))
        and bits.shape[1:] == (8,)
        and _within(inner["bitset_idx"][inner["is_categorical"] != 0], 0, len(bits))
    )


def _boosted(model: Any) -> bool:  # noqa: ANN401 - scikit-learn ships no types
    """Each split of each tree asks for a feature that exists, by category only where there are some."""
    import numpy as np

    width = model.n_features_in_
    categorical = np.asarray(model._bin_mapper.is_categorical_) != 0  # noqa: SLF001 - the only place it is
    if categorical.shape != (width,):
        return False
    for tree in (tree for stage in model._predictors for tree in stage):  # noqa: SLF001 - same
        inner = tree.nodes[tree.nodes["is_leaf"] == 0]
        if not _within(inner["feature_idx"], 0, width):
            return False
        if not categorical[inner["feature_idx"][inner["is_categorical"] != 0]].all():
            return False
    return True


def _ensemble(model: Any) -> bool:  # noqa: ANN401 - scikit-learn ships no types
    """Forests, bags and boosted trees call their trees without looking at the width again."""
    width = model.n_features_in_
    if hasattr(model, "estimators_features_"):
        pairs = zip(model.estimators_, model.estimators_features_, strict=True)
        return all(
            len(some) <= width and _within(some, 0, width) and one.n_features_in_ == len(some)
            for one, some in pairs
        )
    members = model.estimators_
    if type(model).__module__ == "sklearn.ensemble._gb":
        if members.shape[1] != model.n_trees_per_iteration_:
            return False
        members = members.ravel()
    return all(one.n_features_in_ == width for one in members)


def _neighbours(tree: Any) -> bool:  # noqa: ANN401 - a compiled class without types
    """The nodes of a KDTree or BallTree form a heap over its own rows."""
    data, index, nodes, bounds, _, _, count, *_, metric, weights = tree.__getstate__()
    inner = [i for i in range(count) if not nodes[i]["is_leaf"]] if len(nodes) == count else None
    return bool(
        inner is not None
        and index.shape == (len(data),)
        and _within(index, 0, len(data))
        and _within(nodes["idx_start"], 0, len(data) + 1)
        and _within(nodes["idx_end"], nodes["idx_start"], len(data) + 1)
        and bounds.shape[1:] == (count, data.shape[1])
        and bounds.shape[0] == (2 if type(tree).__name__ == "KDTree" else 1)
        and (not inner or 2 * inner[-1] + 2 < count)
        and f"{type(metric).__module__}.{type(metric).__qualname__}" in TRUSTED
        and (weights is None or len(weights) == len(data))
    )


def _spline(spline: Any) -> bool:  # noqa: ANN401 - scipy ships no types
    from scipy.interpolate import BSpline

    BSpline(spline.t, spline.c, spline.k, axis=spline.axis)  # its constructor compares the lengths
    return True


def _sparse(matrix: Any) -> bool:  # noqa: ANN401 - scipy ships no types
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)  # raises ValueError
    elif matrix.format == "coo":
        return all(_within(i, 0, size) for i, size in zip(matrix.coords, matrix.shape, strict=True))
    return True


def _within(values: Any, low: Any, high: Any) -> bool:  # noqa: ANN401 - numbers or numpy arrays of them
    return bool(((values >= low) & (values < high)).all())


_ENSEMBLES = frozenset(f"sklearn.ensemble.{name}" for name in ("_bagging", "_forest", "_gb", "_iforest"))
_RULES: dict[str, Callable[[Any], bool]] = {
    **boosters.RULES,
    "functools.partial": lambda part: f"{part.func.__module__}.{part.func.__qualname__}" == _PARTIAL,
    "sklearn.tree._tree.Tree": _tree,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _predictor,
    "sklearn.neighbors._kd_tree.KDTree": _neighbours,
    "sklearn.neighbors._ball_tree.BallTree": _neighbours,
    "scipy.interpolate._bsplines.BSpline": _spline,
    **{
        f"scipy.sparse._{kind}.{kind}_{shape}": _sparse
        for kind in ("bsr", "coo", "csc", "csr", "dia")
        for shape in ("matrix", "array")
    },
}
