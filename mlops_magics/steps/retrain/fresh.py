"""Rows since the last training: which are new, which are held out, and how far it goes.

The rule. A version keeps a watermark: the highest value of the cursor column among the rows that it was
trained on. Rows above it are new. Of the rows at that very value those are new that were not trained on,
told by a digest of their content, so that each is taken exactly once however the source is cut into pieces.
Rows below it are not new; those that came there since are late, and counted. A row without a label, or
without a cursor, is never taken. Never trained on are two holdouts: a frozen one, drawn once by the digest of
its rows, and a recent one, the newest share of the new rows.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.foundation.frames import Frame

Kind = Literal["number", "time", "text"]

FROZEN_SHARE: Final = 0.1
RECENT_SHARE: Final = 0.2
_PARTS: Final = 10_000  # in how many parts the digests of rows are cut to draw a share
_TIES: Final = 2_000  # rows at the watermark whose digests are kept


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
    share: float = FROZEN_SHARE

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


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows of a source.

    Attributes:
        read: How many there are.
        unlabelled: How many have no label.
        without_cursor: How many have a label, but no cursor.
        old: How many were trained on before.
        late: How many came below the watermark since; they are not taken.
        new: How many are new and have a label.
    """

    read: int
    unlabelled: int
    without_cursor: int
    old: int
    late: int
    new: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """Rows to train on, and to judge by.

    Attributes:
        train: The rows to train on.
        recent: The newest rows, held out.
        frozen: The frozen holdout; empty where there is none.
        kept: What the frozen holdout is; None where there is none.
        mark: How far the rows to train on go; None where there is no cursor.
        counts: What became of all rows.
    """

    train: Any
    recent: Any
    frozen: Any
    kept: Frozen | None
    mark: Watermark | None
    counts: Counts


def digests_of(frame: Any, columns: tuple[str, ...] | None = None) -> Any:  # noqa: ANN401 - pandas, numpy
    """Digest each row by its values; in whichever order the columns are, and whether whole or not.

    A number is the same as integer and as float: a column of a CSV file is the one or the other by whether
    another row of that file has a gap.

    Args:
        frame: A pandas frame.
        columns: The columns that count; all of them by default.

    Returns:
        A numpy array of unsigned 64-bit numbers.
    """
    import pandas as pd

    names = sorted(map(str, frame.columns)) if columns is None else list(columns)
    by_name = {str(name): position for position, name in enumerate(frame.columns)}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise UsageError(f"The rows have no column '{missing[0]}' any more.", "Bring it back into the source.")
    plain = {}
    for name in names:
        column = frame.iloc[:, by_name[name]]
        if pd.api.types.is_numeric_dtype(column):
            plain[name] = column.astype("float64")
        elif pd.api.types.is_datetime64_any_dtype(column):
            plain[name] = pd.to_datetime(column, utc=True).dt.as_unit("ns").astype("int64").astype("float64")
        else:
            plain[name] = column.astype(object).where(column.notna(), "\0").astype(str)
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()


def gather(
    frame: Any,  # noqa: ANN401 - a pandas frame
    *,
    target: str,
    cursor: str | None,
    since: Watermark | None = None,
    frozen: Frozen | None = None,
    held: Any = None,  # noqa: ANN401 - a pandas frame
    everything: bool = False,
    draw: bool = True,
    besides: Any = None,  # noqa: ANN401 - a pandas frame
) -> Fresh:
    """Find what is new in a source, and divide it.

    Args:
        frame: All rows of the source, a pandas frame.
        target: The column with the label.
        cursor: The column that grows with time; None where all rows are new.
        since: How far the last training went; None where all rows are new.
        frozen: What the frozen holdout is; None where it is still to be drawn.
        held: Its rows, where they lie somewhere.
        everything: Train on the old rows too, not on the new ones alone.
        draw: Draw a frozen holdout where there is none yet.
        besides: Rows that are not to be trained on either.

    Raises:
        UsageError: A column is not there, or the cursor is of another kind than before.
        RefusedError: The frozen holdout cannot be had as it was.
    """
    import numpy as np

    _column(frame, target)
    labelled = frame[frame[target].notna()]
    unlabelled = len(frame) - len(labelled)
    if cursor is None:
        return _without_cursor(frame, labelled, unlabelled, (frozen, held, draw, besides))
    _column(frame, cursor)
    places, kind = _ordered(labelled[cursor])
    known = places.notna()
    labelled, places = labelled[known], places[known]
    is_new, late = _new(labelled, places, cursor, kind, since)
    counts = Counts(
        read=len(frame),
        unlabelled=unlabelled,
        without_cursor=int((~known).sum()),
        old=int((~is_new).sum()) - late,
        late=late,
        new=int(is_new.sum()),
    )
    recent = _recent(labelled, places, is_new)
    rest = ~recent if everything else is_new & ~recent
    eligible = rest & is_new if draw else np.zeros(len(labelled), dtype=bool)
    kept, rows = _frozen(labelled, places, eligible, since, frozen, held)
    train = _not_among(labelled, rest, kept, rows, besides)
    mark = None
    if train.any():
        mark = _mark(labelled, places, train, cursor, kind, since)
    return Fresh(labelled[train], labelled[recent & is_new], rows, kept, mark, counts)


def _without_cursor(
    frame: Any, labelled: Any, unlabelled: int, holding: tuple[Frozen | None, Any, bool, Any]  # noqa: ANN401
) -> Fresh:
    """Divide rows of which all are new: the last ones are the newest."""
    import numpy as np

    (frozen, held, draw, besides), count = holding, len(labelled)
    recent = np.arange(count) >= count - int(count * RECENT_SHARE)
    if frozen is None:
        drawn = ~recent & _drawn(digests_of(labelled), FROZEN_SHARE if draw else 0.0)
        kept, rows = _described(labelled[drawn], "", ""), labelled[drawn]
    else:
        kept, rows = frozen, _as_kept(frozen, held)
    train = _not_among(labelled, ~recent, kept, rows, besides)
    counts = Counts(len(frame), unlabelled, 0, 0, 0, count)
    return Fresh(labelled[train], labelled[recent], rows, kept, None, counts)


def _column(frame: Any, name: str) -> None:  # noqa: ANN401 - a pandas frame
    Frame(frame, "pandas", "the fresh rows").position(name)


def _ordered(column: Any) -> tuple[Any, Kind]:  # noqa: ANN401 - a pandas column
    """Bring a cursor into an order: numbers, times, or texts (ISO dates are in the order of time)."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        raise UsageError(f"The cursor {column.name} is true or false.", "Name a column that grows with time.")
    if pd.api.types.is_numeric_dtype(column):
        return column, "number"
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True), "time"
    return column.where(column.isna(), column.astype(str)).astype(object), "text"


def _text(value: Any, kind: Kind) -> str:  # noqa: ANN401 - a value of the cursor
    if kind == "time":
        return str(value.isoformat())
    if kind == "number":
        return repr(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value)


def _value(text: str, kind: Kind) -> Any:  # noqa: ANN401 - a value of the cursor
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


def after(text: str, cursor: str, frame: Any) -> Watermark:  # noqa: ANN401 - a pandas frame
    """Make the watermark of a version that has none, from what its maker says.

    Rows at that very value are taken for trained on.

    Args:
        text: The highest value of the cursor that it was trained on.
        cursor: The column.
        frame: All rows of the source.
    """
    _column(frame, cursor)
    places, kind = _ordered(frame[cursor].dropna())
    value = _value(text, kind)
    tied = int((places == value).sum())
    return Watermark(cursor, _text(value, kind), kind, (), tied, int((places < value).sum()))


def _new(
    labelled: Any, places: Any, cursor: str, kind: Kind, since: Watermark | None  # noqa: ANN401 - pandas
) -> tuple[Any, int]:
    """Tell which rows are new, and how many came too late to be."""
    import numpy as np

    if since is None:
        return np.ones(len(labelled), dtype=bool), 0
    if (since.cursor, since.kind) != (cursor, kind):
        raise UsageError(
            f"The last training went by the cursor {since.cursor} ({since.kind}), not {cursor} ({kind}).",
            f"Say --cursor {since.cursor}, or --after VALUE to begin anew with {cursor}.",
        )
    value = _value(since.value, kind)
    is_new = (places > value).to_numpy()
    late = max(0, int((places < value).sum()) - since.below)
    at = (places == value).to_numpy().nonzero()[0]
    if not since.ties:
        return is_new, late + max(0, len(at) - since.tied)
    seen = Counter(since.ties)
    for place, mark in zip(at, _hex(digests_of(labelled.iloc[at])), strict=True):
        if seen[mark]:
            seen[mark] -= 1
        else:
            is_new[place] = True
    return is_new, late


def _recent(labelled: Any, places: Any, is_new: Any) -> Any:  # noqa: ANN401 - numpy
    """Choose the newest share of the new rows: whole values of the cursor, so that no tie is cut.

    Where all have one value the share is drawn by their digests.
    """
    import numpy as np

    new = places[is_new]
    if not len(new):
        return np.zeros(len(labelled), dtype=bool)
    counts = new.value_counts().sort_index(ascending=False)
    reached = counts.cumsum()
    wanted = len(new) * RECENT_SHARE
    if len(counts) == 1:
        return is_new & _drawn(digests_of(labelled), RECENT_SHARE, salt=1)
    enough = reached[reached >= wanted]
    # At least the newest value, at most all but the oldest.
    first = min(max(0, len(reached) - len(enough)), len(counts) - 2)
    return is_new & (places >= counts.index[first]).to_numpy()


def _drawn(marks: Any, share: float, salt: int = 0) -> Any:  # noqa: ANN401 - numpy
    """Draw a share of rows by their digests: the same rows each time, and others for another salt."""
    import numpy as np

    mixed = marks ^ np.uint64(0x9E3779B97F4A7C15 * (salt + 1) % 2**64)
    return (mixed >> np.uint64(16)) % np.uint64(_PARTS) < int(share * _PARTS)


def _frozen(
    labelled: Any, places: Any, eligible: Any, since: Watermark | None, frozen: Frozen | None, held: Any  # noqa: ANN401
) -> tuple[Frozen | None, Any]:
    """Draw the frozen holdout, or have it again: from where it lies, else by the rule that drew it."""
    if frozen is None:
        if not eligible.any():
            return None, labelled.iloc[:0]
        drawn = eligible & _drawn(digests_of(labelled), FROZEN_SHARE)
        kind = _ordered(labelled.iloc[:1][places.name])[1]
        upto = _text(places[eligible].max(), kind)
        rows = labelled[drawn]
        return _described(rows, "" if since is None else since.value, upto), rows
    if held is not None or not frozen.upto:
        return frozen, _as_kept(frozen, held)
    kind = _ordered(labelled.iloc[:1][places.name])[1]
    inside = (places <= _value(frozen.upto, kind)).to_numpy()
    if frozen.after:
        inside &= (places > _value(frozen.after, kind)).to_numpy()
    rows = labelled[inside & _drawn(digests_of(labelled, frozen.columns), frozen.share)]
    return frozen, _as_kept(frozen, rows)


def _described(rows: Any, lower: str, upper: str) -> Frozen | None:  # noqa: ANN401 - a pandas frame
    if not len(rows):
        return None
    columns = tuple(sorted(map(str, rows.columns)))
    return Frozen(content(rows, columns), len(rows), columns, lower, upper)


def _as_kept(frozen: Frozen, rows: Any) -> Any:  # noqa: ANN401 - a pandas frame
    if rows is None or content(rows, frozen.columns) != frozen.digest:
        raise RefusedError(
            f"The frozen holdout of {frozen.rows} rows is not what it was: rows of it were changed or deleted.",
            "Bring them back into the source, or draw another with --refreeze: what came before is then "
            "judged on other rows.",
        )
    return rows


def content(rows: Any, columns: tuple[str, ...]) -> str:  # noqa: ANN401 - a pandas frame
    """Digest a set of rows, in whichever order they are.

    Args:
        rows: A pandas frame.
        columns: The columns that count.
    """
    import numpy as np

    return hashlib.sha256(np.sort(digests_of(rows, columns)).tobytes()).hexdigest()[:32]


def _not_among(labelled: Any, wanted: Any, kept: Frozen | None, rows: Any, besides: Any) -> Any:  # noqa: ANN401
    """Take rows of the frozen holdout, and copies of them, out of what is wanted."""
    import numpy as np

    found = np.asarray(wanted)
    if kept is not None and len(rows):
        found &= ~np.isin(digests_of(labelled, kept.columns), digests_of(rows, kept.columns))
    if besides is not None:
        columns = tuple(sorted(map(str, besides.columns)))
        found &= ~np.isin(digests_of(labelled, columns), digests_of(besides, columns))
    return found


def _mark(
    labelled: Any, places: Any, train: Any, cursor: str, kind: Kind, since: Watermark | None  # noqa: ANN401
) -> Watermark:
    """Say how far rows that are trained on go; what was trained on before at that very value counts too."""
    value = places[train].max()
    written, among = _text(value, kind), places == value
    taken = tuple(_hex(digests_of(labelled[train & among.to_numpy()])))
    below = int((places < value).sum())
    if since is not None and since.value == written:
        if not since.ties:
            return Watermark(cursor, written, kind, (), int(among.sum()), below)
        taken = tuple(dict.fromkeys((*since.ties, *taken))) if len(set(taken)) == len(taken) else (
            *since.ties, *taken)
    if len(taken) > _TIES:
        return Watermark(cursor, written, kind, (), int(among.sum()), below)
    return Watermark(cursor, written, kind, taken, len(taken), below)


def _hex(marks: Any) -> list[str]:  # noqa: ANN401 - a numpy array
    return [f"{int(mark):016x}" for mark in marks]


def as_facts(counts: Counts) -> Mapping[str, float | bool]:
    """Say what a condition may ask of the rows: how many are new, and whether any is."""
    return {"rows": float(counts.new), "new data": counts.new > 0}
