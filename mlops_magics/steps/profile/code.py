"""What is seen, as pandas code, made with ``repr``: no name or value can become more than itself."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from mlops_magics.foundation.blocks import shown
from mlops_magics.stats.summary import QUANTILES, Alert, ColumnSummary, Scalar, Segment, TableSummary

_DROPPED = frozenset({"constant", "empty", "copy", "leak", "id"})
_NUMBER = r"-?[\d,]*\.?\d+(?:e[+-]?\d+)?"
_BETWEEN = re.compile(rf"^({_NUMBER}) to ({_NUMBER})$")
_DATE = r"\d{4}-\d\d-\d\d[\d T:.+-]*"
_DATES = re.compile(rf"^({_DATE}) to ({_DATE})$")
_ENDS = {"parquet": "read_parquet", "pq": "read_parquet", "csv": "read_csv"}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes code about one table.

    Attributes:
        frame: The expression of the frame: a name.
        before: A line that makes the frame; "" where the notebook has it.
    """

    frame: str
    before: str = ""

    @classmethod
    def of(cls, table: TableSummary) -> Writer:
        """Name the frame as the notebook does, or read the file that it came from.

        Args:
            table: The table.

        Returns:
            The writer.
        """
        source = table.source
        if source.isidentifier() and not keyword.iskeyword(source):
            return cls(source)
        read = _ENDS.get(PurePath(source).suffix.lstrip(".").lower())
        return cls("df", f"df = pd.{read}({source!r})") if read else cls("df")

    def column(self, name: str) -> str:
        """Refer to a column.

        Args:
            name: Its name.

        Returns:
            The expression: ``df["x"]``.
        """
        return f"{self.frame}[{quoted(name)}]"

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


def listed(names: Sequence[str]) -> str:
    """Write names as a list.

    Args:
        names: The names.

    Returns:
        The literal.
    """
    return f"[{', '.join(map(quoted, names))}]"


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
        first = alert.columns if alert.code in {"constant", "empty"} else alert.columns[:1]
        return write.whole(f"{frame} = {frame}.drop(columns={listed(first)})")
    if alert.code.startswith("missing"):
        return write.whole(f"{frame}[{write.column(alert.columns[0])}.isna()]")
    return write.whole(f"{frame}[{listed(alert.columns)}].describe(include={quoted('all')})")


def of_segment(write: Writer, segment: Segment, column: ColumnSummary) -> str:
    """Write the filter of a segment.

    Args:
        write: The table's writer.
        segment: The segment.
        column: The column that it is cut by.

    Returns:
        The code; "" where the segment's words do not name its bounds exactly.
    """
    rest = segment.words.removeprefix(segment.column).strip()
    one = write.column(segment.column)
    if rest == "is missing":
        return write.whole(f"{write.frame}[{one}.isna()]")
    if bounds := _BETWEEN.match(rest):
        low, high = (found.replace(",", "") for found in bounds.groups())
        return write.whole(f"{write.frame}[{one}.between({low}, {high})]")
    if bounds := _DATES.match(rest):
        low, high = map(quoted, bounds.groups())
        return write.whole(f"{write.frame}[{one}.between({low}, {high})]")
    if rest.startswith("= "):
        text = rest.removeprefix("= ")
        for level in column.top:
            if text in {shown(level.value), str(level.value)}:
                return write.whole(f"{write.frame}[{one} == {quoted(level.value)}]")
        if column.kind == "string" and not text.endswith("…") and text == shown(text):
            return write.whole(f"{write.frame}[{one} == {quoted(text)}]")
    return ""


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
    if column.meaning in {"constant", "empty"}:
        drop = f"{write.frame} = {write.frame}.drop(columns={listed([column.name])})"
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
    if not constant:
        return []
    drop = f"{write.frame} = {write.frame}.drop(columns={listed(constant)})"
    return [("drop constant columns", write.whole(drop))]
