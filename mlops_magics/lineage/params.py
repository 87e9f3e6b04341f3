"""The parameters of an estimator as a person compares them: flat, short, and which ones were chosen."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Mapping
from typing import Any

from mlops_magics.lineage.native import params_of

_LONG = 500
_SCALARS = (numbers.Real, str)  # numpy's numbers too: a search over np.arange chooses one of them


def estimator_params(estimator: Any) -> tuple[dict[str, str], tuple[str, ...]]:  # noqa: ANN401
    """Write down an estimator's parameters.

    Args:
        estimator: A scikit-learn estimator; nested ones are followed.

    Returns:
        All parameters that a line can hold, as text by their scikit-learn name without the names of
        the nesting where the last part alone is unambiguous; and the names of those that differ from
        the defaults of their class.
    """
    if (given := params_of(estimator)) is not None:
        told = {name: str(value) for name, value in given.items() if value is not None and _simple(value)}
        return told, tuple(told)
    if not hasattr(estimator, "get_params"):
        return {}, ()
    values = estimator.get_params(deep=True)
    defaults, left = _defaults(estimator, values)
    kept = {
        name: value
        for name, value in values.items()
        if _simple(value) and (value is not None or name not in left)
    }
    names = _short_names(kept)
    chosen = tuple(
        names[name] for name, value in kept.items() if name in defaults and _differs(value, defaults[name])
    )
    return {names[name]: str(value) for name, value in kept.items()}, chosen


def _simple(value: object) -> bool:
    if value is None or isinstance(value, _SCALARS):
        return len(str(value)) <= _LONG
    if isinstance(value, list | tuple):
        return all(item is None or isinstance(item, _SCALARS) for item in value) and len(str(value)) <= _LONG
    return False


def _defaults(estimator: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:  # noqa: ANN401
    """Find the defaults, and the names that mean nothing as long as they are None.

    XGBoost's and LightGBM's classes take any keyword. They leave to the compiled library what is None,
    dozens of parameters, and what no signature names was given by the user.
    """
    owners = {"": estimator} | {name: value for name, value in values.items() if hasattr(value, "get_params")}
    found: dict[str, Any] = {}
    left: set[str] = set()
    for owner, item in owners.items():
        before = f"{owner}__" if owner else ""
        own, open_ = _signature(type(item))
        found |= {before + name: default for name, default in own.items()}
        if open_:
            names = [before + name for name in item.get_params(deep=False)]
            left.update(names)
            found |= {name: None for name in names if name not in found}
    return found, frozenset(left)


def _signature(kind: type) -> tuple[dict[str, Any], bool]:
    """Return the defaults of a class's parameters, and whether it takes any keyword.

    One that does hands them on to the class beneath it.
    """
    found: dict[str, Any] = {}
    depth = 0
    for made in (cls.__dict__["__init__"] for cls in kind.__mro__ if "__init__" in cls.__dict__):
        parameters = inspect.signature(made).parameters.values()
        for each in parameters:
            if each.default is not inspect.Parameter.empty:
                found.setdefault(each.name, each.default)
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
            break
        depth += 1
    return found, depth > 0


def _short_names(values: Mapping[str, object]) -> dict[str, str]:
    """Shorten ``pipeline__model__max_depth`` to ``max_depth`` where nothing else ends like that."""
    ends: dict[str, int] = {}
    for name in values:
        end = name.rpartition("__")[2]
        ends[end] = ends.get(end, 0) + 1
    return {name: end if ends[end := name.rpartition("__")[2]] == 1 else name for name in values}


def _differs(value: object, default: object) -> bool:
    if type(value) is not type(default):
        return True
    return bool(value != default) and not (value != value and default != default)  # noqa: PLR0124 - NaN
