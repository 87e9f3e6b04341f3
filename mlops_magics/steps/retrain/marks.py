"""What is remembered of rows: how far those went that were trained on, and which are held out for good."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.frames import Frame

Table: TypeAlias = Any
"""A pandas frame, or a column of one; pandas ships no types."""

Array: TypeAlias = Any
"""A numpy array of one value a row."""

Kind = Literal["number", "time", "text"]

SHARE: Final = 0.1
"""The share of rows that is held out for good."""

_PARTS: Final = 10_000  # in how many parts the digests of rows are cut to draw a share


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far the rows went that a version was trained on.

    Attributes:
        cursor: The column.
        value: Its highest value among these rows, as text.
        kind: What the column holds.
        ties: The digests of the rows at that value that were trained on; empty where they are too many.
        tied: How many these are.
        below: How many labelled rows the source had below it.
    """

    cursor: str
    value: str
    kind: Kind
    ties: tuple[str, ...] = ()
    tied: int = 0
    below: int = 0

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Watermark | None:
        """Read it; None where the text is none."""
        try:
            content = json.loads(text)
            return cls(**(content | {"ties": tuple(content["ties"])}))
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class Frozen:
    """A holdout that stays the same from one retraining to the next.

    Attributes:
        digest: Of its rows.
        rows: How many there are.
        columns: The columns by which its rows are told from others.
        after: They lie above this value of the cursor; "" for no bound.
        upto: And not above this one; "" for no bound.
        share: The share that was drawn.
    """

    digest: str
    rows: int
    columns: tuple[str, ...]
    after: str = ""
    upto: str = ""
    share: float = SHARE

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Frozen | None:
        """Read it; None where the text is none."""
        try:
            content = json.loads(text)
            return cls(**(content | {"columns": tuple(content["columns"])}))
        except (ValueError, TypeError, KeyError):
            return None


def saved(rows: Table, path: Path) -> None:
    """Write rows as a parquet file that only this user may read, whole or not at all.

    Args:
        rows: A pandas frame.
        path: The file; its folder must be there.

    Raises:
        UnavailableError: It cannot be written.
    """
    held = io.BytesIO()
    rows.to_parquet(held, index=False)
    write_atomic(path, held.getvalue(), private=True)


def digests_of(frame: Table, columns: tuple[str, ...] | None = None) -> Array:
    """Digest each row by its values; in whichever order the columns are, and whether whole or not.

    A number is the same as integer and as float: a column of a CSV file is the one or the other by whether
    another row of that file has a gap.

    Args:
        frame: A pandas frame.
        columns: The columns that count; all of them by default.

    Returns:
        An unsigned 64-bit number a row.

    Raises:
        UsageError: One of these columns is not there.
    """
    import pandas as pd

    names = sorted(map(str, frame.columns)) if columns is None else list(columns)
    by_name = {str(name): position for position, name in enumerate(frame.columns)}
    if missing := [name for name in names if name not in by_name]:
        raise UsageError(
            f"The rows have no column '{missing[0]}' any more.", "Bring it back into the source."
        )
    plain = {}
    for name in names:
        column = frame.iloc[:, by_name[name]]
        if pd.api.types.is_numeric_dtype(column):
            plain[name] = column.astype("float64")
        elif pd.api.types.is_datetime64_any_dtype(column):
            moments = pd.to_datetime(column, utc=True).dt.as_unit("ns")
            plain[name] = moments.astype("int64").astype("float64")
        else:
            plain[name] = column.astype(object).where(column.notna(), "\0").astype(str)
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()


def content(rows: Table, columns: tuple[str, ...]) -> str:
    """Digest a set of rows, in whichever order they are.

    Args:
        rows: A pandas frame.
        columns: The columns that count.
    """
    import numpy as np

    return hashlib.sha256(np.sort(digests_of(rows, columns)).tobytes()).hexdigest()[:32]


def drawn(marks: Array, share: float, salt: int = 0) -> Array:
    """Draw a share of rows by their digests: the same rows each time.

    Args:
        marks: The digests.
        share: The share.
        salt: Another number draws others.
    """
    import numpy as np

    mixed = marks ^ np.uint64(0x9E3779B97F4A7C15 * (salt + 1) % 2**64)
    return (mixed >> np.uint64(16)) % np.uint64(_PARTS) < int(share * _PARTS)


def written(marks: Array) -> list[str]:
    """Write digests of rows as text."""
    return [f"{int(mark):016x}" for mark in marks]


def has(frame: Table, name: str) -> None:
    """Make sure that a frame has a column, and only one of that name."""
    Frame(frame, "pandas", "the fresh rows").position(name)


def ordered(column: Table) -> tuple[Table, Kind]:
    """Bring a cursor into an order: numbers, times, or texts (ISO dates are in the order of time).

    Raises:
        UsageError: It has none.
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        raise UsageError(f"The cursor {column.name} is true or false.", "Name a column that grows with time.")
    if pd.api.types.is_numeric_dtype(column):
        return column, "number"
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True), "time"
    return column.astype(object).where(column.isna(), column.astype(str)), "text"


def text_of(value: Any, kind: Kind) -> str:  # noqa: ANN401 - a value of the cursor
    """Write a value of the cursor."""
    if kind == "time":
        return str(value.isoformat())
    if kind == "number":
        return repr(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value)


def value_of(text: str, kind: Kind) -> Any:  # noqa: ANN401 - a value of the cursor
    """Read a value of the cursor.

    Raises:
        UsageError: It is none.
    """
    import pandas as pd

    try:
        if kind == "time":
            found = pd.Timestamp(text)
            return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")
        if kind == "number":
            return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError as error:
        word = "time" if kind == "time" else "number"
        raise UsageError(f"'{text[:40]}' is no {word}, as the cursor is.", f"Write a {word}.") from error
    return text


def after(text: str, cursor: str, frame: Table) -> Watermark:
    """Make the watermark of a version that has none, from what its maker says.

    Rows at that very value are taken for trained on.

    Args:
        text: The highest value of the cursor that it was trained on.
        cursor: The column.
        frame: All rows of the source.
    """
    has(frame, cursor)
    places, kind = ordered(frame[cursor].dropna())
    value = value_of(text, kind)
    tied = int((places == value).sum())
    return Watermark(cursor, text_of(value, kind), kind, (), tied, int((places < value).sum()))
