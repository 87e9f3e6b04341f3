"""What an XGBoost model's bytes must be before XGBoost itself reads them.

The bytes are UBJSON: the model, and the configuration of its training. XGBoost compares the lengths of a
tree's arrays; that children, parents and features exist, and that outputs are as many as are spoken of, it
takes as said. So it is read here first, with a reader that knows no more than what XGBoost writes.

Trees that split numbers are taken. Splits by category, leaves of several outputs, dart and gblinear are not.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np

from mlops_magics.foundation.errors import RefusedError

_WHOLE: Final = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q"}
_ARRAYS: Final = {"d": ">f4", "D": ">f8", "i": "i1", "U": "u1", "I": ">i2", "l": ">i4", "L": ">i8"}
_DEEPEST: Final = 16
_LONGEST: Final = 1 << 31
_ROOT: Final = (1 << 31) - 1  # the parent of a tree's first node
_MOST: Final = 100_000  # outputs, threads
_OBJECTIVES: Final = frozenset(
    {"multi:softmax", "multi:softprob", "binary:logistic", "binary:logitraw", "binary:hinge"}
    | {f"reg:{name}" for name in ("squarederror", "squaredlogerror", "logistic", "pseudohubererror")}
    | {f"reg:{name}" for name in ("absoluteerror", "gamma", "tweedie")}
    | {"count:poisson", "rank:ndcg", "rank:map", "rank:pairwise", "survival:cox"}
)
_UPDATERS: Final = frozenset(
    {"grow_quantile_histmaker", "grow_histmaker", "grow_colmaker", "grow_gpu_hist", "grow_gpu_approx"}
    | {"prune", "refresh", "sync"}
)
_NUMBERS: Final = re.compile(r"\[?-?[0-9.]+(?:E-?[0-9]+)?(?:,-?[0-9.]+(?:E-?[0-9]+)?)*\]?", re.ASCII)
_NODES: Final = {  # arrays of a tree with one entry a node, and what they are made of
    "base_weights": "f",
    "default_left": "u",
    "left_children": "i",
    "loss_changes": "f",
    "parents": "i",
    "right_children": "i",
    "split_conditions": "f",
    "split_indices": "i",
    "split_type": "u",
    "sum_hessian": "f",
}
_LEARNER: Final = {
    *("attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective")
}
_FOREST: Final = {"cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees"}
_CATEGORIES: Final = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def check_bytes(raw: bytes) -> None:
    """Refuse a model that XGBoost would follow out of its own memory.

    Args:
        raw: The bytes, as a booster's state holds them.

    Raises:
        RefusedError: They are not what XGBoost writes, or an index in them leads outside.
    """
    try:
        told = _Reader(raw).whole()
        _learner(told)
    except (struct.error, UnicodeDecodeError, IndexError, KeyError, TypeError, ValueError, AttributeError):
        _refuse("it is not written as XGBoost writes a model")


def _refuse(what: str) -> NoReturn:
    raise RefusedError(
        f"The XGBoost model is not taken in the safe format: {what}.",
        "If nobody altered it, keep it with --allow-pickle; else train and log the model again.",
    )


class _Reader:
    """Reads UBJSON: each name once, nothing left over."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._place = 0

    def whole(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """Read one value, which must be all there is."""
        found = self._value(self._mark(), 0)
        if self._place != len(self._raw):
            raise ValueError
        return found

    def _mark(self) -> str:
        self._place += 1
        return chr(self._raw[self._place - 1])

    def _next(self) -> str:
        return chr(self._raw[self._place])

    def _unpacked(self, form: str) -> Any:  # noqa: ANN401 - a number
        (found,) = struct.unpack_from(form, self._raw, self._place)
        self._place += struct.calcsize(form)
        return found

    def _length(self) -> int:
        found = int(self._unpacked(_WHOLE[self._mark()]))
        if not 0 <= found < _LONGEST:
            raise ValueError
        return found

    def _text(self) -> str:
        length = self._length()
        end = self._place + length
        if end > len(self._raw):
            raise ValueError
        found = self._raw[self._place : end].decode()
        self._place = end
        return found

    def _value(self, mark: str, depth: int) -> Any:  # noqa: ANN401 - JSON of any shape
        if depth > _DEEPEST:
            raise ValueError
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._array(depth)
        if mark == "S":
            return self._text()
        if mark in _WHOLE:
            return self._unpacked(_WHOLE[mark])
        if mark == "d":
            return float(self._unpacked(">f"))
        return {"T": True, "F": False}[mark]

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._next() != "}":
            name = self._text()
            if name in found:
                raise ValueError
            found[name] = self._value(self._mark(), depth + 1)
        self._place += 1
        return found

    def _array(self, depth: int) -> Any:  # noqa: ANN401 - a list or an array
        if self._next() == "$":
            self._place += 1
            kind, hash_ = self._mark(), self._mark()
            if hash_ != "#":
                raise ValueError
            found = np.frombuffer(self._raw, _ARRAYS[kind], self._length(), self._place)
            self._place += found.nbytes
            return found
        if self._mark() != "#":
            raise ValueError
        return [self._value(self._mark(), depth + 1) for _ in range(self._length())]


def _learner(told: Mapping[str, Any]) -> None:
    """Compare the model with its configuration, and check each tree."""
    if told.keys() != {"Model", "Config"} or not all(
        one.keys() == {"learner", "version"} for one in told.values()
    ):
        _refuse("it is not written as XGBoost writes a model")
    model, config = told["Model"]["learner"], told["Config"]["learner"]
    booster, way = model["gradient_booster"], config["gradient_booster"]
    if booster["name"] != "gbtree" or way["name"] != "gbtree":
        _refuse("it is no plain gbtree")
    _plain(config)
    same = model["objective"] == config["objective"]
    if not same or model["learner_model_param"] != config["learner_model_param"]:
        _refuse("its configuration is that of another model")
    outputs, width = _shapes(model)
    _training(config, model["objective"]["name"])
    trees, param = booster["model"], booster["model"]["gbtree_model_param"]
    if way["gbtree_model_param"] != param:
        _refuse("its configuration is that of another model")
    if model.keys() != _LEARNER or booster.keys() != {"model", "name"} or not trees.keys() <= _FOREST:
        _refuse("it holds something that is not known")
    _forest(trees, _number(param["num_trees"]), _number(param["num_parallel_tree"]) * outputs, outputs)
    for place, tree in enumerate(trees["trees"]):
        _tree(place, tree, width)


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError
    return int(text)


def _plain(part: object) -> None:
    """A configuration holds texts by name, and no more than that."""
    if isinstance(part, dict):
        for value in part.values():
            _plain(value)
    elif isinstance(part, list):
        for value in part:
            _plain(value)
    elif not isinstance(part, str | bool):
        raise TypeError


def _shapes(model: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many outputs and features there are, wherever it is said."""
    param, objective = model["learner_model_param"], model["objective"]
    classes, targets, width = (_number(param[f"num_{name}"]) for name in ("class", "target", "feature"))
    outputs = max(classes, targets, 1)
    base = param["base_score"]
    if width < 1 or outputs > _MOST or (classes > 1 and targets > 1) or not _NUMBERS.fullmatch(base):
        raise ValueError
    if base.count(",") + 1 not in {1, outputs}:
        _refuse("it has as many base scores as no model of its outputs")
    if objective["name"] not in _OBJECTIVES:
        _refuse(f"its objective {str(objective['name'])[:40]!r} is not one that is known")
    several = objective["name"].startswith("multi:")
    told = objective["softmax_multiclass_param"]["num_class"] if several else ""
    if several and (_number(told) != classes or classes < 1):
        _refuse("its objective speaks of another number of classes")
    for name in ("feature_names", "feature_types"):
        listed = model[name]
        if not isinstance(listed, list) or len(listed) not in {0, width} or not all(map(_is_text, listed)):
            _refuse(f"its {name} do not fit {width} features")
    if "c" in model["feature_types"]:
        _refuse("it splits by categories")
    if not all(map(_is_text, model["attributes"].values())):
        raise TypeError
    return outputs, width


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _training(config: Mapping[str, Any], objective: str) -> None:
    """A configuration names parts of XGBoost that exist, and as many threads as a machine may have."""
    general, trained, way = (
        config["generic_param"],
        config["learner_train_param"],
        config["gradient_booster"],
    )
    threads = [general[name] for name in ("nthread", "n_jobs") if name in general]
    if not all(re.fullmatch(r"-?\d{1,4}", one, re.ASCII) for one in threads):
        _refuse("it asks for more threads than a machine has")
    if not re.fullmatch(r"cpu|(?:cuda|gpu)(?::\d{1,3})?", general["device"], re.ASCII):
        raise ValueError
    strategy = trained.get("multi_strategy", "one_output_per_tree")
    if (trained["booster"], trained["objective"], strategy) != ("gbtree", objective, "one_output_per_tree"):
        _refuse("its configuration is that of another model")
    if not {one["name"] for one in way["updater"]} <= _UPDATERS:
        _refuse("it names an unknown way to grow trees")


def _forest(model: Mapping[str, Any], count: int, step: int, outputs: int) -> None:
    """Each tree has its place, its output, and its iteration."""
    info, bounds = model["tree_info"], model["iteration_indptr"]
    if not all(type(one) is int for one in (*info, *bounds)) or step < 1:
        raise TypeError
    if len(model["trees"]) != count or len(info) != count:
        _refuse("it holds another number of trees than it says")
    if not all(0 <= one < outputs for one in info):
        _refuse("a tree of it adds to an output that does not exist")
    if bounds != list(range(0, count + 1, step)) or bounds[-1] != count:
        _refuse("its iterations do not hold its trees")
    cats = model.get("cats", {"enc": []})
    if cats["enc"] or any(len(cats.get(name, ())) for name in ("feature_segments", "sorted_idx")):
        _refuse("it splits by categories")


def _tree(place: int, tree: Mapping[str, Any], width: int) -> None:
    """A tree is what the head says, and holds numbers for each of its nodes."""
    name, param = f"tree {place}", tree["tree_param"]
    if tree.keys() != {*_NODES, *_CATEGORIES, "id", "tree_param"} or tree["id"] != place:
        raise ValueError
    nodes = _number(param["num_nodes"])
    if (param["size_leaf_vector"], param["num_deleted"]) != ("1", "0") or _number(
        param["num_feature"]
    ) != width:
        _refuse(f"{name} is not a plain one of {width} features")
    for key, kind in _NODES.items():
        if tree[key].dtype.kind != kind or tree[key].shape != (nodes,) or nodes < 1:
            _refuse(f"{name} does not hold {nodes} numbers in {key}")
    if tree["split_type"].any() or any(tree[key].size for key in _CATEGORIES):
        _refuse(f"{name} splits by categories")
    _splits(name, tree, nodes, width)


def _splits(name: str, tree: Mapping[str, Any], nodes: int, width: int) -> None:
    """Children lie behind their parent and know it; features exist."""
    left, right, parents = (
        tree[key].astype(np.int64) for key in ("left_children", "right_children", "parents")
    )
    features, here = tree["split_indices"].astype(np.int64), np.arange(nodes)
    inner = left != -1
    children = np.concatenate([left[inner], right[inner]])
    above = np.concatenate([here[inner], here[inner]])
    if (right[~inner] != -1).any() or not ((children > above) & (children < nodes)).all():
        _refuse(f"{name} has a child outside of itself")
    if parents[0] != _ROOT or (parents[children] != above).any():
        _refuse(f"{name} has a parent outside of itself")
    if not np.array_equal(np.sort(children), here[1:]):
        _refuse(f"{name} does not reach each of its nodes once")
    if not ((features >= 0) & (features < width)).all():
        _refuse(f"{name} splits by a feature that does not exist")
    if (tree["default_left"] > 1).any():
        raise ValueError
