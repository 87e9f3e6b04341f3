"""Where fresh rows come from: a table, files, or a query that can only read."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError
from mlops_magics.foundation.frames import Frame, read
from mlops_magics.foundation.masking import masked

DATABASE: Final = "MLOPS_DATABASE"
_QUERY: Final = re.compile(r"\s*(?:select|with)\b", re.IGNORECASE)
_MAGIC: Final = re.compile(r"[*?\[]")


def shown(data: object) -> str:
    """Say what the rows come from, without secrets."""
    return masked(data)[:500] if isinstance(data, str | Path) and (data := str(data)) else "a table"


def rows(data: object) -> Any:  # noqa: ANN401 - pandas ships no types
    """Read all rows of a source, as a pandas frame with a plain index.

    Args:
        data: A table; the path of a CSV or parquet file, or a pattern such as ``flights/*.parquet`` (the
            files in the order of their names); or a query that begins with SELECT or WITH. It goes to the
            database whose address the variable ``MLOPS_DATABASE`` holds, over a connection that may only
            read, else to DuckDB, which reads files by name.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no such source, or the files have other columns than each other.
        UnavailableError: The database does not answer, or refuses the query.
    """
    if isinstance(data, str) and _QUERY.match(data):
        return _asked(data)
    if isinstance(data, str | Path) and _MAGIC.search(str(data)) and not Path(data).is_file():
        return _together(str(data))
    return Frame.of(data, "the fresh rows").to_pandas().reset_index(drop=True)


def _together(pattern: str) -> Any:  # noqa: ANN401 - a pandas frame
    import pandas as pd

    paths = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))  # noqa: PTH111, PTH207 - a pattern
    if not paths:
        raise NotFoundError(f"No file is named like {pattern}.", "Check the pattern; put it in quotes.")
    frames = [read(Path(path)).data for path in paths]
    first = set(frames[0].columns)
    for path, frame in zip(paths, frames, strict=True):
        if differing := first ^ set(frame.columns):
            named = ", ".join(sorted(map(str, differing))[:5])
            raise UsageError(
                f"{path} has other columns than {paths[0]}: {named}.", "Name files of one kind, or a query."
            )
    return pd.concat(frames, ignore_index=True)


def _asked(query: str) -> Any:  # noqa: ANN401 - a pandas frame
    address = os.environ.get(DATABASE)
    return _of_duckdb(query) if address is None else _of_database(address, query)


def _of_database(address: str, query: str) -> Any:  # noqa: ANN401 - a pandas frame
    import pandas as pd
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(_reading(address))
        try:
            with engine.connect() as line, _only_reading(line):
                return pd.read_sql_query(text(query), line)
        finally:
            engine.dispose()
    except (SQLAlchemyError, pd.errors.DatabaseError, ModuleNotFoundError) as error:
        said = masked(str(error.__cause__ or error)).splitlines()[0]
        raise UnavailableError(
            f"The query failed: {said}",
            f"Check it, and the address in {DATABASE}; a query may only read.",
        ) from error


def _reading(address: str) -> str:
    """Make an address of SQLite one that opens the file for reading: without it a new file would be made."""
    path = address.removeprefix("sqlite:///")
    if path == address or not path or path == ":memory:":
        return address
    if not Path(path).is_file():
        raise NotFoundError(f"There is no database {path}.", f"Check the address in {DATABASE}.")
    return f"sqlite:///file:{path}?mode=ro&uri=true"


@contextlib.contextmanager
def _only_reading(line: Any) -> Iterator[None]:  # noqa: ANN401 - SQLAlchemy's connection
    """Let a connection read only, where its database can be told; whatever it did is taken back."""
    from sqlalchemy import text

    told = {"postgresql": "SET TRANSACTION READ ONLY", "mysql": "SET SESSION TRANSACTION READ ONLY"}
    if (words := told.get(line.dialect.name)) is not None:
        line.execute(text(words))
    try:
        yield
    finally:
        line.rollback()


def _of_duckdb(query: str) -> Any:  # noqa: ANN401 - a pandas frame
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "A query needs a database.",
            f"Set {DATABASE} to its address, or pip install duckdb to ask files by name.",
        ) from error
    try:
        with duckdb.connect() as line:
            kinds = {str(one.type) for one in line.extract_statements(query)}
            if kinds != {"StatementType.SELECT"}:
                raise UsageError("The query does more than to read.", "Write one SELECT.")
            return line.execute(query).df()
    except duckdb.Error as error:
        raise UnavailableError(f"The query failed: {error}", "Check it.") from error
