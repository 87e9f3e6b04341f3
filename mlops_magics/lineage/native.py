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
_HEAD: Final = 200  # rows that are kept: enough for a signature, an example, and to tell two models apart
_ROWS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
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
    """Return some of the rows that a booster was trained on; None where it was trained on a file.

    LightGBM lets the table go before it trains, so that these are all there is. XGBoost's matrix has none.

    Args:
        booster: The booster, while it is trained.
    """
    dataset = getattr(booster, "train_set", None)
    return None if dataset is None else _ROWS.get(dataset)


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


def remark(model: Any) -> str:  # noqa: ANN401 - any model
    """Say what cannot be done with a model that is kept; "" where all can.

    Args:
        model: What was fitted.
    """
    kind = type(model)
    if (kind.__module__, kind.__name__) != ("xgboost.core", "Booster"):
        return ""
    return (
        "XGBoost's own Booster answers a DMatrix only, so it cannot be registered or served: "
        "XGBClassifier and XGBRegressor can."
    )


def _noting_rows(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def noted(dataset: Any, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - as the method
        method(dataset, *args, **keywords)
        data: Any = args[0] if args else keywords.get("data")
        if isinstance(data, str) or not hasattr(data, "__getitem__"):
            return
        try:
            _ROWS[dataset] = _few(data)
        except Exception:  # noqa: BLE001 - a stranger's table; the booster is tracked without rows then
            return

    return noted


def _few(data: Any) -> Any:  # noqa: ANN401 - tables and arrays
    """Copy the first rows, and of a table's each column that has gaps one row with a gap."""
    if not hasattr(data, "iloc"):
        head = data[:_HEAD]
        return head.copy() if hasattr(head, "copy") else head
    gaps = data.isna().to_numpy()
    later = [int(column.argmax()) for column in gaps.T if column.any()]
    return data.iloc[[*range(min(_HEAD, len(data))), *sorted({row for row in later if row >= _HEAD})]].copy()


def _noting_params(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def noted(booster: Any, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - as the method
        method(booster, *args, **keywords)
        params = args[0] if args else keywords.get("params")
        _PARAMS[booster] = dict(params or {})

    return noted
