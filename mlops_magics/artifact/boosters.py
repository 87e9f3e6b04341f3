"""Boosters of LightGBM and XGBoost in a .skops file: what is checked before and after skops makes them.

``Booster.__setstate__`` hands the text or the bytes in its state to compiled code at once, so they are read
while they still lie in the file. Skops takes a node that carries the id of an earlier one for that earlier
one, so what is read here must be the only node of its id.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

import numpy as np

from mlops_magics.artifact.lightgbm_text import check_text
from mlops_magics.artifact.xgboost_bytes import check_bytes
from mlops_magics.foundation.errors import RefusedError

Node = dict[str, Any]

_LIGHTGBM: Final = "lightgbm.basic."
_XGBOOST: Final = "xgboost.core."
_BEFORE: Final = {  # what training went on from: all that is kept of it; its handle would be freed unseen
    "_InnerPredictor__is_manage_handle",
    "pandas_categorical",
    "pred_parameter",
    "num_class",
}
_MOST_THREADS: Final = 4096  # a number that no machine can start ends the process
_WORD: Final = re.compile(r"[^\s=]*")  # parameters travel to LightGBM as one line of name=value
_THREADS: Final = frozenset({"num_threads", "num_thread", "nthread", "nthreads", "n_jobs"})
_REACHING: Final = re.compile(r"file|machine")  # parameters that read or write paths, or open connections
_OUTSIDE: Final = {
    *("data", "train", "train_data", "valid", "valid_data", "test", "test_data", "config"),
    *("input_model", "model_input", "model_in", "output_model", "model_output", "model_out"),
    *("save_binary", "is_save_binary", "snapshot_freq", "save_period", "fs", "forced_splits"),
    *("mlist", "workers", "nodes", "predict_disable_shape_check"),
}


def check_nodes(schema: object, read: Callable[[str], bytes]) -> None:
    """Refuse a file whose boosters hold what would lead their library outside of its own memory.

    Args:
        schema: What the file's ``schema.json`` says.
        read: Reads another member of the file.

    Raises:
        RefusedError: A booster is not written as skops writes it, or its model is damaged.
    """
    nodes = list(_nodes(schema))
    boosters = [node for node in nodes if _name(node).startswith((_LIGHTGBM, _XGBOOST))]
    if not boosters:
        return
    if not all(type(node.get("__id__")) is int for node in nodes):
        _altered()  # 7, 7.0 and True are equal as keys: skops writes whole numbers only
    ids = Counter(node["__id__"] for node in nodes)
    for node in boosters:
        held = _state(node, ids)
        if _name(node).startswith(_XGBOOST):
            check_bytes(read(_file(held, ids)))
        elif _name(node) == f"{_LIGHTGBM}Booster":
            check_text(_text(held, ids))
        elif not held.keys() <= _BEFORE:
            _altered()


def _nodes(schema: object) -> Iterator[Node]:
    open_ends = [schema]
    while open_ends:
        part = open_ends.pop()
        if isinstance(part, dict):
            open_ends.extend(part.values())
            if "__loader__" in part:
                yield part
        elif isinstance(part, list):
            open_ends.extend(part)


def _state(node: Node, ids: Counter[int]) -> Node:
    """Find what skops will hand to a booster as its state, by name."""
    state = node.get("content")
    if not isinstance(state, dict) or _kind(state) != ("DictNode", "builtins.dict"):
        _altered()
    held = state.get("content")
    if not isinstance(held, dict) or ids[state["__id__"]] != 1:
        _altered()
    if not all(name.isidentifier() for name in held):
        _altered()  # NumPy's texts drop a zero at their end: another name could become this one
    return held


def _text(held: Node, ids: Counter[int]) -> str:
    """Find the one text that skops will hand to LightGBM for this booster."""
    told = held.get("_handle")
    if "handle" in held or not isinstance(told, dict) or told.get("__loader__") != "JsonNode":
        _altered()
    if ids[told["__id__"]] != 1:
        _altered()
    try:
        text = json.loads(told["content"])
    except (KeyError, TypeError, ValueError):
        _altered()
    if not isinstance(text, str):
        _altered()
    return text


def _file(held: Node, ids: Counter[int]) -> str:
    """Find the one member of the file whose bytes skops will hand to XGBoost for this booster."""
    told = held.get("handle")
    if not isinstance(told, dict) or _kind(told) != ("BytearrayNode", "builtins.bytearray"):
        _altered()
    if ids[told["__id__"]] != 1 or not isinstance(told.get("file"), str):
        _altered()
    return str(told["file"])


def _name(node: Node) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _kind(node: Node) -> tuple[object, str]:
    return node.get("__loader__"), _name(node)


def _altered() -> NoReturn:
    raise RefusedError(
        "The file's booster is not written as skops writes one.",
        "The file was altered: train and log the model again.",
    )


def _sound_booster(booster: Any) -> bool:  # noqa: ANN401 - LightGBM ships no types that mypy follows here
    """Say whether a loaded booster of LightGBM has a model, and parameters that stay inside.

    Args:
        booster: The booster.
    """
    state = vars(booster)
    handle = state["_handle"]
    buffers = state.get("_Booster__inner_predict_buffer", [])
    return (
        isinstance(handle, ctypes.c_void_p)
        and bool(handle)
        and all(one is None for one in buffers)
        and _inside(state.get("params", {}))
    )


def _sound_estimator(model: Any) -> bool:  # noqa: ANN401 - same
    """Say whether an estimator of LightGBM passes nothing on but plain parameters that stay inside.

    Args:
        model: The estimator.
    """
    state = vars(model)
    texts = [value for value in state.values() if isinstance(value, str)]
    return (
        all(map(_WORD.fullmatch, texts))
        and _inside(state.get("_other_params", {}))
        and _threads(state.get("n_jobs"))
    )


def _sound_xgboost(booster: Any) -> bool:  # noqa: ANN401 - XGBoost ships no types that mypy follows here
    """Say whether a loaded booster of XGBoost has a model.

    Args:
        booster: The booster.
    """
    handle = vars(booster)["handle"]
    return isinstance(handle, ctypes.c_void_p) and bool(handle)


def _sound_xgboost_estimator(model: Any) -> bool:  # noqa: ANN401 - same
    """Say whether an estimator of XGBoost speaks of the model that its booster holds.

    ``set_params`` hands all parameters to the booster, which would change its shape without a look at its
    trees.

    Args:
        model: The estimator.
    """
    state = vars(model)
    if "_Booster" not in state:
        return True
    learner = json.loads(state["_Booster"].save_config())["learner"]
    held = {
        "objective": learner["objective"]["name"],
        "booster": "gbtree",
        "multi_strategy": "one_output_per_tree",
    }
    more = state.get("kwargs") or {}
    return (
        all(state.get(name) in {None, value} for name, value in held.items())
        and isinstance(state.get("base_score"), float | int | None)
        and not state.get("callbacks")
        and not more.keys() & {*held, "base_score"}
        and not any(str(name).startswith("num_") for name in more)
        and _inside(more)
        and _threads(state.get("n_jobs"))
    )


def _inside(params: Mapping[str, Any]) -> bool:
    """Say whether a library gets plain values only, and none that names a file or a machine."""
    for name, value in params.items():
        word = str(name).lower()
        if not word.isidentifier() or word in _OUTSIDE or _REACHING.search(word):
            return False
        if not _plain(value) or (word in _THREADS and not _threads(value)):
            return False
    return True


def _plain(value: object) -> bool:
    if isinstance(value, list | tuple | set):
        return all(map(_plain, value))
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, bool | int | float | np.number | np.bool_ | np.ndarray)


def _threads(value: object) -> bool:
    if value is None or isinstance(value, str):
        return value is None or (value.lstrip("-").isdecimal() and abs(int(value)) <= _MOST_THREADS)
    return isinstance(value, int | np.integer) and abs(int(value)) <= _MOST_THREADS


RULES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "lightgbm.basic.Booster": _sound_booster,
    **{f"lightgbm.sklearn.LGBM{kind}": _sound_estimator for kind in ("Classifier", "Ranker", "Regressor")},
    "xgboost.core.Booster": _sound_xgboost,
    **{
        f"xgboost.sklearn.XGB{kind}": _sound_xgboost_estimator
        for kind in ("Classifier", "Ranker", "Regressor", "RFClassifier", "RFRegressor")
    },
}
"""What a loaded booster or estimator must be, by its full name."""
