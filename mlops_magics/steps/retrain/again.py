"""The rows that a retraining trained on: where they came from and which they were, so as to have them again.

The rows themselves are not kept: they lie in a file that is named by their content while notebooks are
executed, and then go. Kept is the address of their source, and a digest of each row in its order. By these
the very same file is made again, row by row; of what is not there any more it is said how much that is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.masking import masked
from mlops_magics.steps.retrain import source
from mlops_magics.steps.retrain.marks import Table, digests_of, saved
from mlops_magics.tracking import retrainings
from mlops_magics.tracking.recall import fetched, fetched_text
from mlops_magics.tracking.store import Store

_ABOUT: Final = "rows/about.json"
_MARKS: Final = "rows/digests.u64"
_MOST: Final = 2_000_000  # rows whose digests are kept: eight bytes each
_SHOWN: Final = 200  # characters of a source
_NOBODY: Final = "The rows that it was trained on were a table of a notebook, which nobody kept."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a retraining came from, and which they were.

    Attributes:
        file: The file that they lay in while notebooks were executed.
        source: Their source as it was named; "" where it was a table of a notebook.
        folder: The folder that it was named from.
        whole: Whether no secret was taken out of it.
        columns: The type of each column, in their order.
        rows: How many there were.
        digest: Of all of this but the places.
    """

    file: str
    source: str
    folder: str
    whole: bool
    columns: Mapping[str, str]
    rows: int
    digest: str

    @property
    def names(self) -> tuple[str, ...]:
        """The columns by which rows are told from each other."""
        return tuple(sorted(self.columns))


def written(folder: Path, rows: Table, data: object) -> tuple[Path, Origin, bytes]:
    """Write rows to train on to a file that is named by their content.

    Args:
        folder: The folder of the model's retrainings.
        rows: The rows.
        data: Their source, as it was named.

    Returns:
        The file, where the rows came from, and the digests of the rows.
    """
    columns = {str(name): str(rows.dtypes.iloc[place]) for place, name in enumerate(rows.columns)}
    marks = digests_of(rows).tobytes()
    digest = hashlib.sha256(json.dumps(list(columns.items())).encode() + marks).hexdigest()
    path = private_folder(folder) / f"train-{digest[:16]}.parquet"
    saved(rows, path)
    text = str(data) if isinstance(data, str | Path) else ""
    told = masked(text)
    origin = Origin(str(path), told, str(Path.cwd()), told == text, columns, len(rows), digest)
    return path, origin, marks


def keep(store: Store, record: str, origin: Origin, marks: bytes) -> None:
    """Keep with a retraining's record where its rows came from, and which they were.

    Args:
        store: The open store.
        record: MLflow's id of that record.
        origin: Where they came from.
        marks: The digests of the rows; those of too many are left out.
    """
    files: dict[str, str | bytes] = {_ABOUT: json.dumps(asdict(origin)).encode()}
    if origin.rows <= _MOST:
        files[_MARKS] = marks
    retrainings.keep_content(store, record, files)


@dataclass(frozen=True, slots=True)
class Again:
    """Whether the rows of a retraining could be had again.

    Attributes:
        missing: Why not, as a sentence; "" where they are there, or were not asked for.
        file: The file that was made of them, each row as it was; None where none was.
    """

    missing: str = ""
    file: Path | None = None


@contextlib.contextmanager
def had_again(store: Store, identifier: str, wanted: Collection[Path]) -> Iterator[Again]:
    """Have the rows of a retraining again for the length of a ``with`` block, under the name that they had.

    Args:
        store: The open store.
        identifier: The retraining; "" for none.
        wanted: The files that are needed.

    Yields:
        Whether they could be had.
    """
    origin, record = _found(store, identifier)
    path = None if origin is None else Path(origin.file)
    if origin is None or path is None or path not in wanted or path.exists():
        yield Again()
        return
    try:
        missing = _made(store, record, origin, path)
        yield Again(missing, None if missing else path)
    finally:
        path.unlink(missing_ok=True)


def _found(store: Store, identifier: str) -> tuple[Origin | None, str]:
    record = retrainings.record_of(store, identifier) if identifier else None
    if record is None:
        return None, ""
    try:
        return Origin(**json.loads(fetched_text(store, record, _ABOUT))), record
    except (ValueError, TypeError):  # one of an earlier release
        return None, record


def _made(store: Store, record: str, origin: Origin, path: Path) -> str:
    """Make the file again; say why it cannot be made."""
    shown = origin.source[:_SHOWN]
    if lacking := _lacking(origin, shown):
        return lacking
    try:
        # A query names files from the folder that it was asked in, and cannot be told another one.
        with contextlib.chdir(origin.folder if Path(origin.folder).is_dir() else Path.cwd()):
            frame = source.rows(origin.source)
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            marks = fetched(store, record, _MARKS, Path(folder)).read_bytes()
        rows, lost = _picked(frame, origin, marks)
    except MLOpsError as error:
        return f"The rows that it was trained on cannot be had from {shown}: {error.what}"
    except (ValueError, TypeError) as error:
        return f"The rows that it was trained on are of other types in {shown} now: {error}"
    if lost:
        return f"Of the {origin.rows:,} rows that it was trained on {lost:,} are not in {shown} as they were."
    private_folder(path.parent)
    saved(rows, path)
    return ""


def _lacking(origin: Origin, shown: str) -> str:
    """Say what was not kept of where rows came from, or ""."""
    if not origin.source:
        return _NOBODY
    if not origin.whole:
        return f"A secret was taken out of where its rows came from: {shown}."
    if origin.rows > _MOST:
        return f"It was trained on {origin.rows:,} rows of {shown}: of so many no digests are kept."
    return ""


def _picked(frame: Table, origin: Origin, marks: bytes) -> tuple[Table, int]:
    """Pick rows by their digests, in their order; say how many are not there."""
    import numpy as np
    import pandas as pd

    wanted = pd.Series(np.frombuffer(marks, dtype=np.uint64))
    there = pd.Series(digests_of(frame, origin.names))
    keys = pd.MultiIndex.from_arrays([there, there.groupby(there).cumcount()])
    asked = pd.MultiIndex.from_arrays([wanted, wanted.groupby(wanted).cumcount()])
    places = keys.get_indexer(asked)
    lost = int((places < 0).sum())
    if lost:
        return None, lost
    by_name = {str(name): name for name in frame.columns}
    rows = frame[[by_name[name] for name in origin.columns]].iloc[places]
    return rows.astype({by_name[name]: kind for name, kind in origin.columns.items()}), 0
