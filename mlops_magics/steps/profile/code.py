"""What is seen, as pandas code, made with ``repr``: no name or value can become more than itself."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePath

from mlops_magics.stats.summary import QUANTILES, Alert, ColumnSummary, Scalar, Segment, TableSummary

_DROPPED = frozenset({"constant", "empty", "copy", "leak", "id"})
_ZONED = re.compile(r"\dT.*([+-]\d\d:\d\d|Z)$")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is written beside it, where there is one
_ENDS = {"parquet": "read_parquet", "pq": "read_parquet", "csv": "read_csv"}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes code about one table.

    Attributes:
        frame: The expression of the frame: a name.
        before: A line that makes the frame; "" where the notebook has it.
        odd: How a column is reached whose name is not its label: ``[0]``, ``.iloc[:, 3]``.
    """

    frame: str
    before: str = ""
    odd: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, table: TableSummary, odd: Mapping[str, str] | None = None) -> Writer:
        """Name the frame as the notebook does, or read the file that it came from.

        Args:
            table: The table.
            odd: How columns are reached whose names are not their labels.

        Returns:
            The writer.
        """
        source = table.source
        if source.isidentifier() and not keyword.iskeyword(source):
            return cls(source, "", odd or {})
        read = _ENDS.get(PurePath(source).suffix.lstrip(".").lower())
        return cls("df", f"df = pd.{read}({source!r})" if read else "", odd or {})

    def column(self, name: str) -> str:
        """Refer to a column.

        Args:
            name: Its name.

        Returns:
            The expression: ``df["x"]``.
        """
        return f"{self.frame}{self.odd.get(name) or f'[{quoted(name)}]'}"

    def listed(self, names: Sequence[str]) -> str:
        """Write names as a list.

        Args:
            names: The names.

        Returns:
            The literal; "" where one of the columns shares its name with another.
        """
        keys = [self.odd.get(name, f"[{quoted(name)}]") for name in names]
        return f"[{', '.join(key[1:-1] for key in keys)}]" if all(key[0] == "[" for key in keys) else ""

    def whole(self, line: str) -> str:
        """Put what makes the frame before a line.

        Args:
            line: The line.

        Returns:
            The code.
        """
        return f"{self.before}\n{line}" if self.before else line


def quoted(value: Scalar) -> str:
    """Write a value as Python does, texts in double quotes where they hold none.

    Args:
        value: The value.

    Returns:
        The literal.
    """
    literal = repr(value)
    plain = isinstance(value, str) and literal.startswith("'") and '"' not in literal and "\\" not in literal
    return f'"{literal[1:-1]}"' if plain else literal


def of_alert(write: Writer, alert: Alert) -> str:
    """Write what follows from an alert: dropping what only harms, looking at the rest.

    Args:
        write: The table's writer.
        alert: The alert.

    Returns:
        The code; "" where there is none to write.
    """
    frame = write.frame
    if alert.code.startswith("duplicate"):
        return write.whole(f"{frame} = {frame}.drop_duplicates()")
    if not alert.columns:
        return ""
    if alert.code in _DROPPED:
        names = write.listed(alert.columns if alert.code in {"constant", "empty"} else alert.columns[:1])
        return write.whole(f"{frame} = {frame}.drop(columns={names})") if names else ""
    if alert.code.startswith("missing"):
        return write.whole(f"{frame}[{write.column(alert.columns[0])}.isna()]")
    names = write.listed(alert.columns)
    return write.whole(f"{frame}[{names}].describe(include={quoted('all')})") if names else ""


def of_segment(write: Writer, segment: Segment, column: ColumnSummary) -> str:
    """Write the filter of a segment.

    Args:
        write: The table's writer.
        segment: The segment.
        column: The column that it is cut by.

    Returns:
        The code; "" where the segment's bounds cannot be written.
    """
    one = write.column(segment.column)
    if segment.held is None:
        return write.whole(f"{write.frame}[{one}.isna()]") if segment.words.endswith(" is missing") else ""
    low, high = (_bound(value, column) for value in segment.held)
    if not low or not high:
        return ""
    test = f"{one} == {low}" if low == high else f"{one}.between({low}, {high})"
    return write.whole(f"{write.frame}[{test}]")


def _bound(value: Scalar, column: ColumnSummary) -> str:
    """Write a bound as the column's own type; "" for a type that has no literal."""
    if isinstance(value, str):
        return quoted(value) if column.kind == "string" else ""
    if value is None or column.kind in {"duration", "other", "string"}:
        return ""
    if column.kind == "date":
        zone = "+00:00" if isinstance(column.minimum, str) and _ZONED.search(column.minimum) else ""
        moment = _EPOCH + timedelta(microseconds=value)
        return quoted(f"{moment.isoformat()}{zone}")
    if column.kind == "boolean":
        return repr(bool(value))
    return repr(int(value)) if column.kind == "integer" else repr(float(value))


def of_column(write: Writer, column: ColumnSummary) -> list[tuple[str, str]]:
    """Write what a column's detail shows.

    Args:
        write: The table's writer.
        column: The column.

    Returns:
        Pairs of what it is and the code.
    """
    one = write.column(column.name)
    found = []
    if column.numbers is not None:
        found.append(("quantiles", write.whole(f"{one}.quantile({list(QUANTILES)!r})")))
    if column.top:
        found.append(("most frequent values", write.whole(f"{one}.value_counts(normalize=True).head(10)")))
    if column.missing:
        found.append(("rows without it", write.whole(f"{write.frame}[{one}.isna()]")))
    if column.meaning in {"constant", "empty"} and (names := write.listed([column.name])):
        drop = f"{write.frame} = {write.frame}.drop(columns={names})"
        found.append(("drop it", write.whole(drop)))
    return found


def of_table(write: Writer, columns: Sequence[ColumnSummary]) -> list[tuple[str, str]]:
    """Write what holds for the whole table.

    Args:
        write: The table's writer.
        columns: The table's columns.

    Returns:
        Pairs of what it is and the code.
    """
    constant = [column.name for column in columns if column.meaning in {"constant", "empty"}]
    names = write.listed(constant)
    if not constant or not names:
        return []
    drop = f"{write.frame} = {write.frame}.drop(columns={names})"
    return [("drop constant columns", write.whole(drop))]
