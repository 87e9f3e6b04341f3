"""A contract as a pandera schema: the same rows are taken and refused, in another tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.foundation.errors import MissingExtraError


def schema(name: str, rules: Sequence[ColumnRule], target: str | None) -> Any:  # noqa: ANN401 - an extra
    """Write rules as a pandera ``DataFrameSchema``.

    Args:
        name: What it is called.
        rules: A rule a column.
        target: The column that may be absent.

    Raises:
        MissingExtraError: pandera is not installed.
    """
    try:
        import pandera.pandas as pandera
    except ImportError as error:
        raise MissingExtraError("pandera", "pandera") from error
    columns = {
        rule.name: pandera.Column(
            None,  # the checks below judge values, whichever of pandas' many types holds them
            checks=[
                *(pandera.Check(check, name=word, error=word) for word, check in _checks(rule)),
                *(
                    pandera.Check(check, name=word, error=word, ignore_na=False)
                    for word, check in _gaps(rule)
                ),
            ],
            nullable=rule.nullable > 0,
            unique=rule.unique,
            required=not rule.optional and rule.name != target,
        )
        for rule in rules
    }
    return pandera.DataFrameSchema(columns, name=name)


def _checks(rule: ColumnRule) -> list[tuple[str, Callable[[Any], Any]]]:
    """List what a pandas column must meet, each with a word for it."""
    found: list[tuple[str, Callable[[Any], Any]]] = [
        (f"{rule.kind} values", _KINDS["string" if rule.format else rule.kind])
    ]
    low, high = (datetime.fromisoformat(b) if isinstance(b, str) else b for b in (rule.minimum, rule.maximum))
    if rule.format is not None:  # dates kept as text have no order that pandera could compare
        low = high = None
    if low is not None:
        found.append((f"at least {rule.minimum}", lambda column: _plain(column) >= low))
    if high is not None:
        found.append((f"at most {rule.maximum}", lambda column: _plain(column) <= high))
    if rule.allowed is not None and rule.closed:
        allowed = list(rule.allowed)
        found.append(("a known value", lambda column: column.isin(allowed)))
    if rule.lengths is not None:
        least, most = rule.lengths
        found.append((f"{least} to {most} characters", lambda column: column.str.len().between(least, most)))
    return found


def _gaps(rule: ColumnRule) -> list[tuple[str, Callable[[Any], Any]]]:
    if not 0 < rule.nullable < 1:
        return []
    most = rule.nullable
    return [(f"at most {most:.4g} missing", lambda column: bool(column.isna().mean() <= most))]


def _plain(column: Any) -> Any:  # noqa: ANN401 - a pandas column
    """Bring dates with a time zone to UTC without one, in which bounds are written."""
    zone = getattr(column.dtype, "tz", None)
    return column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)


def _whole(column: Any) -> Any:  # noqa: ANN401 - a pandas column
    from pandas.api import types

    if types.is_bool_dtype(column) or not types.is_numeric_dtype(column):
        return False
    return True if types.is_integer_dtype(column) else column % 1 == 0


def _numeric(column: Any) -> Any:  # noqa: ANN401 - a pandas column
    from pandas.api import types

    return types.is_numeric_dtype(column) and not types.is_bool_dtype(column)


def _type(word: str) -> Callable[[Any], Any]:
    def judge(column: Any) -> Any:  # noqa: ANN401 - a pandas column
        from pandas.api import types

        return bool(getattr(types, word)(column))

    return judge


def _texts(column: Any) -> Any:  # noqa: ANN401 - a pandas column
    from pandas.api import types

    if isinstance(column.dtype, types.CategoricalDtype):
        column = column.cat.categories.to_series()
    return types.infer_dtype(column, skipna=True) in {"string", "empty"}


_KINDS: dict[str, Callable[[Any], Any]] = {
    "boolean": lambda column: _type("is_bool_dtype")(column.dropna().infer_objects()),
    "integer": _whole,
    "number": _numeric,
    "date": _type("is_datetime64_any_dtype"),
    "duration": _type("is_timedelta64_dtype"),
    "string": _texts,
    "any": lambda column: column.notna() | True,
}
