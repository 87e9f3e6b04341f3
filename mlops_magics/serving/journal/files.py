"""The files of a journal: small ones, put together as they grow many; old ones deleted; read while written.

A file is named by when it was begun, by its writer and by the numbers of the parts that are in it. What was
put together covers its parts, so that a crash between the two never shows a row twice.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

_NAME: Final = re.compile(r"(\d{13})-([0-9a-f]{8})-(\d{8})-(\d{8})\.parquet")
_UNFINISHED: Final = ".tmp"
_STALE: Final = 3600.0  # seconds after which a file that was never finished is nobody's
_MANY: Final = 60  # files of one size that become one
_ROWS: Final = 1_000_000  # of a file that does not grow any more
_TIME: Final = "time"  # the column by which readers pass a file by
_GROUP: Final = 131_072  # rows that are compressed together


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One file.

    Attributes:
        begun: When its first row was written, in milliseconds since 1970.
        writer: Who wrote it.
        first: The number of the first part in it.
        last: The number of the last one.
    """

    begun: int
    writer: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.begun:013d}-{self.writer}-{self.first:08d}-{self.last:08d}.parquet"

    @property
    def parts(self) -> int:
        """How many parts are in it."""
        return self.last - self.first + 1

    def covers(self, other: Part) -> bool:
        """Tell whether all of another file is in this one."""
        return (
            self != other
            and self.writer == other.writer
            and self.first <= other.first
            and other.last <= self.last
        )


def listed(folder: Path) -> list[Part]:
    """List the files of a journal, oldest first, those left out that are in another."""
    names = [_NAME.fullmatch(path.name) for path in folder.glob("*.parquet")]
    found = [Part(int(name[1]), name[2], int(name[3]), int(name[4])) for name in names if name]
    widest: dict[tuple[str, int], Part] = {}
    for part in found:
        key = (part.writer, part.first)
        if key not in widest or widest[key].last < part.last:
            widest[key] = part
    kept: list[Part] = []
    for part in sorted(widest.values(), key=lambda one: (one.writer, one.first, -one.last)):
        if not (kept and kept[-1].covers(part)):
            kept.append(part)
    return sorted(kept)


def write(folder: Path, part: Part, tables: Iterable[pa.Table], *, lasting: bool = False) -> int:
    """Write a file at once: it is whole when it is there.

    Args:
        folder: The journal.
        part: Which file.
        tables: What is in it, one after the other; each may lack columns that another has. A column that has
            types that do not go together is kept as text.
        lasting: Whether it is worth the time to make it small; one that is soon put together with others
            is not.

    Returns:
        How many rows it has.

    Raises:
        OSError: The disk does not take it; nothing is left of it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = list(tables)
    schema = _unified([table.schema for table in made])
    path = folder / f".{part.name}{_UNFINISHED}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        options: dict[str, Any] = {"use_dictionary": _repeated(schema)}
        options |= {"compression": "zstd"} if lasting else {"compression": "lz4", "write_statistics": [_TIME]}
        whole = pa.concat_tables([_fitted(table, schema) for table in made]).combine_chunks()
        with os.fdopen(handle, "wb") as file:
            pq.write_table(whole, file, row_group_size=_GROUP, **options)
        path.rename(folder / part.name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return int(whole.num_rows)


def _unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Find the columns and types in which all can be kept."""
    import pyarrow as pa

    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        pass
    kept: dict[str, pa.Field] = {}
    for field in (field for schema in schemas for field in schema):
        known = kept.setdefault(field.name, field)
        try:
            kept[field.name] = pa.unify_schemas(
                [pa.schema([known]), pa.schema([field])], promote_options="permissive"
            ).field(0)
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            kept[field.name] = pa.field(field.name, pa.string())
    return pa.schema(list(kept.values()))


def _repeated(schema: pa.Schema) -> list[str]:
    """Name the columns in which values are repeated: looking for it in all others costs time in vain."""
    import pyarrow as pa

    texts = (pa.types.is_string, pa.types.is_dictionary)
    words = [field.name for field in schema if any(fits(field.type) for fits in texts)]
    return [name for name in words if name != "request_id"]


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    if table.schema.equals(schema):  # nearly always, and to look through its columns would hold requests up
        return table
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def put_together(folder: Path, parts: Sequence[Part]) -> Part:
    """Make one file of several by one writer, and delete them.

    Args:
        folder: The journal.
        parts: The files, without a gap between them.

    Returns:
        The new file.
    """
    import pyarrow.parquet as pq

    whole = Part(min(part.begun for part in parts), parts[0].writer, parts[0].first, parts[-1].last)
    write(folder, whole, (pq.read_table(folder / part.name) for part in parts), lasting=True)
    for part in parts:
        (folder / part.name).unlink(missing_ok=True)
    return whole


def tidy(folder: Path, writer: str) -> None:
    """Put files together that have grown many, and delete what is in another file already.

    Args:
        folder: The journal.
        writer: Whose files; another writer's are left alone while that one lives.
    """
    import pyarrow.parquet as pq

    mine = [part for part in listed(folder) if part.writer == writer]
    sizes: dict[int, list[Part]] = {}
    for part in sorted(mine, key=lambda one: one.first):
        level = 0 if part.parts < _MANY else 1 if part.parts < _MANY**2 else 2
        sizes.setdefault(level, []).append(part)
    for level in (0, 1):
        some = sizes.get(level, [])
        rows = (
            sum(pq.read_metadata(folder / part.name).num_rows for part in some[:_MANY])
            if len(some) >= _MANY
            else 0
        )
        if len(some) >= _MANY and rows <= _ROWS:
            put_together(folder, some[:_MANY])
    _delete_covered(folder)


def _delete_covered(folder: Path) -> None:
    kept = {part.name for part in listed(folder)}
    for path in folder.iterdir():
        stale = path.suffix == _UNFINISHED and time.time() - path.stat().st_mtime > _STALE
        if stale or (_NAME.fullmatch(path.name) and path.name not in kept):
            path.unlink(missing_ok=True)


def adopt(folder: Path, writer: str) -> None:
    """Put what a writer left behind into one file; called when that writer is gone for good."""
    mine = sorted(
        (part for part in listed(folder) if part.writer == writer and part.parts < _MANY),
        key=lambda one: one.first,
    )
    run: list[Part] = []
    for part in [*mine, None]:
        if part is not None and (not run or part.first == run[-1].last + 1):
            run.append(part)
            continue
        if len(run) > 1:
            put_together(folder, run)
        run = [] if part is None else [part]


def prune(folder: Path, *, days: float, most: int) -> None:
    """Delete files that are too old, and the oldest while all together are too large.

    Args:
        folder: The journal.
        days: How long a row is kept at least.
        most: The most bytes of all files.
    """
    found = []
    for part in listed(folder):
        with contextlib.suppress(FileNotFoundError):
            status = (folder / part.name).stat()
            found.append((status.st_mtime, status.st_size, part.name))
    total = sum(size for _, size, _ in found)
    limit = time.time() - days * 86_400
    for written, size, name in sorted(found):
        if written >= limit and total <= most:
            break
        (folder / name).unlink(missing_ok=True)
        total -= size


def paths(folder: Path, since: float = 0.0) -> list[Path]:
    """Name the files that may hold rows since a moment, oldest first.

    Args:
        folder: The journal.
        since: Seconds since 1970.
    """
    found = []
    for part in listed(folder):
        path = folder / part.name
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime >= since:
                found.append(path)
    return found
