"""The parameters of an estimator as a person compares them: flat, short, and which ones were chosen."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Mapping
from typing import Any

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
    if not hasattr(estimator, "get_params"):
        return {}, ()
    values = estimator.get_params(deep=True)
    defaults = _defaults(estimator, values)
    kept = {name: value for name, value in values.items() if _simple(value)}
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


def _defaults(estimator: Any, values: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    owners = {"": estimator} | {name: value for name, value in values.items() if hasattr(value, "get_params")}
    found: dict[str, Any] = {}
    for owner, item in owners.items():
        for name, parameter in inspect.signature(type(item).__init__).parameters.items():
            full = f"{owner}__{name}" if owner else name
            if parameter.default is not inspect.Parameter.empty:
                found[full] = parameter.default
    return found


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
