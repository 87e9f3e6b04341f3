"""The one door to tables: pandas, Polars, Arrow and files, seen alike, columns taken by position.

Nothing here imports a table library before a table of that library is at hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest

Kind = Literal["pandas", "polars", "arrow"]

_SUFFIXES = (".parquet", ".csv")
_TABLE = 2  # rows and columns


def kind_of(data: object) -> Kind | None:
    """Tell which library's table an object is; None where it is no table. Imports nothing."""
    for name, module, classes in (
        ("pandas", "pandas", ("DataFrame",)),
        ("polars", "polars", ("DataFrame",)),
        ("arrow", "pyarrow", ("Table",)),
    ):
        library = sys.modules.get(module)
        if library is not None and issubclass(type(data), tuple(getattr(library, c) for c in classes)):
            return name  # type: ignore[return-value]
    return None


@dataclass(frozen=True, slots=True)
class Frame:
    """A table of any library behind one face. The data are never copied to make one.

    Attributes:
        data: The table itself.
        kind: Which library it belongs to.
        source: What the user called it: a variable, a path, or "data".
    """

    data: Any
    kind: Kind
    source: str = "data"

    @classmethod
    def of(cls, data: object, source: str = "data") -> Frame:
        """Take a table, or the path of one.

        Args:
            data: A pandas or Polars DataFrame, an Arrow Table, or the path of a CSV or parquet file.
            source: What to call it.

        Raises:
            UsageError: It is none of these.
            NotFoundError: The path is not there.
        """
        if isinstance(data, Frame):
            return data
        if isinstance(data, str | Path):
            return read(Path(data))
        kind = kind_of(data)
        if kind is None:
            raise UsageError(
                f"{source} is {_article(type(data).__name__)}, not a table.",
                "Pass a pandas or Polars DataFrame, an Arrow Table, or the path of a .csv or .parquet file.",
            )
        return cls(data, kind, source)

    @classmethod
    def of_rows(cls, data: object, source: str = "data") -> Frame:
        """Take a table, the path of one, or an array: its columns are called 0, 1, 2 and so on.

        Args:
            data: What :meth:`of` takes, or a NumPy array with a row a row.
            source: What to call it.

        Raises:
            UsageError: It is none of these.
            NotFoundError: The path is not there.
        """
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(data, numpy.ndarray) or data.ndim != _TABLE:
            return cls.of(data, source)
        import pandas as pd

        return cls(
            pd.DataFrame(data, columns=[str(place) for place in range(data.shape[1])]), "pandas", source
        )

    @property
    def names(self) -> tuple[Any, ...]:
        """The column names as they are: they may repeat and need not be strings."""
        if self.kind == "arrow":
            return tuple(self.data.column_names)
        return tuple(self.data.columns)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.data.num_rows if self.kind == "arrow" else self.data.shape[0])

    def column(self, position: int) -> Any:  # noqa: ANN401 - a column of whichever library
        """Return a column by position."""
        if self.kind == "pandas":
            return self.data.iloc[:, position]
        return self.data.column(position) if self.kind == "arrow" else self.data.to_series(position)

    def position(self, name: str) -> int:
        """Find a column by name; ``"0"`` finds a column named 0 where no other is named ``"0"``.

        Raises:
            NotFoundError: No column has that name.
            UsageError: More than one column has that name.
        """
        names = self.names
        places = [i for i, other in enumerate(names) if isinstance(other, str) and other == name]
        places = places or [i for i, other in enumerate(names) if str(other) == str(name)]
        if len(places) == 1:
            return places[0]
        if places:
            raise UsageError(
                f"{self.source} has {len(places)} columns named '{name}'.",
                "Rename all but one of them.",
            )
        raise NotFoundError(
            f"{self.source} has no column '{name}'.", nearest(name, map(str, self.names)) or "It has none."
        )

    def select(self, positions: Sequence[int]) -> Frame:
        """Return some columns by position, in that order."""
        positions = list(positions)
        if self.kind == "pandas":
            return Frame(self.data.iloc[:, positions], self.kind, self.source)
        if self.kind == "arrow":
            return Frame(self.data.select(positions), self.kind, self.source)
        return Frame(self.data[:, positions], self.kind, self.source)

    def without(self, name: str) -> Frame:
        """Return all columns but one."""
        drop = self.position(name)
        return self.select([i for i in range(len(self.names)) if i != drop])

    def where(self, rows: Any) -> Frame:  # noqa: ANN401 - a numpy array of truth values
        """Return the rows that a truth value each picks, in their order."""
        if self.kind == "pandas":
            return Frame(self.data.loc[rows], self.kind, self.source)
        return Frame(self.data.filter(rows), self.kind, self.source)

    def gaps(self) -> list[bool]:
        """Tell, column by column, whether any value is missing (null or NaN)."""
        if self.kind == "pandas":
            return [bool(self.column(i).isna().any()) for i in range(len(self.names))]
        if self.kind == "arrow":
            return [_arrow_gap(self.column(i)) for i in range(len(self.names))]
        return [
            bool(column.null_count()) or (column.dtype.is_float() and bool(column.is_nan().any()))
            for column in map(self.column, range(len(self.names)))
        ]

    def head(self, rows: int) -> Frame:
        """Return the first rows."""
        data = self.data.slice(0, rows) if self.kind == "arrow" else self.data.head(rows)
        return Frame(data, self.kind, self.source)

    def to_pandas(self) -> Any:  # noqa: ANN401 - pandas ships no types
        """Return it as a pandas DataFrame; without a copy where it is one."""
        if self.kind == "pandas":
            return self.data
        import pandas as pd

        if self.kind == "arrow":
            return self.data.to_pandas()
        # Polars' own way to pandas asks for pyarrow, which is always here, and keeps strings strings.
        return pd.DataFrame(self.data.to_arrow().to_pandas())


def read(path: Path) -> Frame:
    """Read a table from a file.

    Args:
        path: A ``.csv`` or ``.parquet`` file.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is of another kind, or cannot be read as what its name says.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"'{path}' is neither the name of a table in this notebook nor a .csv or .parquet file.",
            "Check the spelling, or pass a path that ends with .csv or .parquet.",
        )
    if not path.is_file():
        raise NotFoundError(
            f"There is no file {path}.", "Check the path; it is taken from the current folder."
        )
    import pandas as pd

    reader = pd.read_parquet if path.suffix.lower() == ".parquet" else pd.read_csv
    try:
        return Frame(reader(path), "pandas", path.name)
    except Exception as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Check that the file is whole.") from error


def _arrow_gap(column: Any) -> bool:  # noqa: ANN401 - pyarrow ships no types
    import pyarrow as pa
    import pyarrow.compute as pc

    nan = pa.types.is_floating(column.type) and bool(pc.any(pc.is_nan(column)).as_py())
    return bool(column.null_count) or nan


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"
