"""LightGBM's and XGBoost's own way to train: ``train(params, dataset)`` makes a booster, round by round.

The names that a notebook imported stay as they are; it is their classes that are watched. What a booster
was made with and on is noted when it is made, and let go with it: neither library keeps both.
"""

from __future__ import annotations

import functools
import importlib
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Put = Callable[[type, str, object], None]

_MODULES: Final = {"lightgbm": "lightgbm.basic", "xgboost": "xgboost.core"}
_HEAD: Final = 200  # rows of what cannot be pointed to weakly: enough for a signature and an example
_ROWS: weakref.WeakKeyDictionary[Any, Callable[[], Any]] = weakref.WeakKeyDictionary()
_PARAMS: weakref.WeakKeyDictionary[Any, Mapping[str, Any]] = weakref.WeakKeyDictionary()


def watched(source: str, put: Put) -> Iterator[type]:
    """Note from here on what boosters are made with and on.

    Args:
        source: The cell's source. A library that neither it nor the session mentions is not imported.
        put: Puts a wrapper in the place of a class's method.

    Yields:
        The class of each library's boosters.
    """
    for library, name in _MODULES.items():
        if library not in sys.modules and library not in source:
            continue
        try:
            module = importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112 - a stranger's import; the cell will say so itself
            continue
        if library == "lightgbm":
            put(module.Dataset, "__init__", _noting_rows(module.Dataset.__init__))
        else:
            put(module.Booster, "__init__", _noting_params(module.Booster.__init__))
        yield module.Booster


def rows_of(booster: Any) -> Any:  # noqa: ANN401 - LightGBM's and XGBoost's own
    """Return the rows that a booster was trained on; None where they are gone, or were never rows.

    Args:
        booster: The booster, while it is trained.
    """
    dataset = getattr(booster, "train_set", None)
    note = _ROWS.get(dataset) if dataset is not None else None
    return note() if note else None


def params_of(booster: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - same
    """Return the parameters that a booster was trained with; None for anything else.

    Args:
        booster: What was fitted.
    """
    kind = type(booster)
    if (kind.__module__, kind.__name__) == ("lightgbm.basic", "Booster"):
        return dict(booster.params)
    if (kind.__module__, kind.__name__) == ("xgboost.core", "Booster"):
        return {**_PARAMS.get(booster, {}), "num_boost_round": booster.num_boosted_rounds()}
    return None


def _noting_rows(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def noted(dataset: Any, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - as the method
        method(dataset, *args, **keywords)
        data: Any = args[0] if args else keywords.get("data")
        if isinstance(data, str) or not hasattr(data, "__getitem__"):
            return
        try:
            _ROWS[dataset] = weakref.ref(data)
        except TypeError:  # NumPy's arrays
            head = data[:_HEAD]
            kept = head.copy() if hasattr(head, "copy") else head
            _ROWS[dataset] = lambda: kept

    return noted


def _noting_params(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def noted(booster: Any, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - as the method
        method(booster, *args, **keywords)
        params = args[0] if args else keywords.get("params")
        _PARAMS[booster] = dict(params or {})

    return noted
