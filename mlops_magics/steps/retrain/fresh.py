"""Rows since the last training: which are new, which are held out, and how far it goes.

The rule. A version keeps a watermark: the highest value of the cursor column among the rows that it was
trained on. Rows above it are new. Of the rows at that very value those are new that were not trained on,
told by a digest of their content, so that each is taken exactly once however the source is cut into
pieces; where they are more than 2,000, none of them is. Rows below it are not new; those that came there
since are late, and counted. A row without a label, or without a cursor, is never taken. Never trained on
are two holdouts: a frozen one, drawn once by the digest of its rows, and a recent one, the newest share of
the new rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.steps.retrain.marks import (
    SHARE,
    Array,
    Frozen,
    Kind,
    Table,
    Watermark,
    content,
    digests_of,
    drawn,
    has,
    ordered,
    text_of,
    value_of,
    written,
)

RECENT_SHARE: Final = 0.2
_TIES: Final = 2_000  # rows at the watermark whose digests are kept


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

    train: Table
    recent: Table
    frozen: Table
    kept: Frozen | None
    mark: Watermark | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held out for good.

    Attributes:
        frozen: What it is; None where it is still to be drawn.
        rows: Its rows, where they lie somewhere.
        draw: Whether it is drawn where there is none.
        besides: Other rows that are not to be trained on.
    """

    frozen: Frozen | None = None
    rows: Table = None
    draw: bool = True
    besides: Table = None

    def among(self, labelled: Table, eligible: Array) -> tuple[Frozen | None, Table]:
        """Take it as it lies, or draw it."""
        if self.frozen is not None:
            return self.frozen, _as_kept(self.frozen, self.rows)
        share = SHARE if self.draw else 0.0
        rows = labelled[eligible & drawn(digests_of(labelled), share)]
        return described(rows), rows

    def without(self, labelled: Table, wanted: Array, kept: Frozen | None, rows: Table) -> Array:
        """Take what is held out, and copies of it, out of what is wanted."""
        import numpy as np

        found = np.array(wanted, dtype=bool)
        if kept is not None and len(rows):
            found &= ~np.isin(digests_of(labelled, kept.columns), digests_of(rows, kept.columns))
        if self.besides is not None:
            columns = tuple(sorted(map(str, self.besides.columns)))
            found &= ~np.isin(digests_of(labelled, columns), digests_of(self.besides, columns))
        return found


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Labelled rows with a cursor.

    Attributes:
        rows: The rows.
        places: Their cursor, in an order.
        cursor: The column's name.
        kind: What it holds.
        since: How far the last training went.
    """

    rows: Table
    places: Table
    cursor: str
    kind: Kind
    since: Watermark | None


def gather(
    frame: Table,
    *,
    target: str,
    cursor: str | None,
    since: Watermark | None = None,
    holding: Holding | None = None,
    everything: bool = False,
) -> Fresh:
    """Find what is new in a source, and divide it.

    Args:
        frame: All rows of the source, a pandas frame.
        target: The column with the label.
        cursor: The column that grows with time; None where all rows are new.
        since: How far the last training went; None where all rows are new.
        holding: What is held out for good; by default it is drawn now.
        everything: Train on the old rows too, not on the new ones alone.

    Raises:
        UsageError: A column is not there, or the cursor is of another kind than before.
        RefusedError: The frozen holdout cannot be had as it was.
    """
    has(frame, target)
    holding = holding or Holding()
    labelled = frame[frame[target].notna()]
    if cursor is None:
        return _all_new(frame, labelled, holding)
    has(frame, cursor)
    places, kind = ordered(labelled[cursor])
    known = places.notna()
    found = _Labelled(labelled[known], places[known], cursor, kind, since)
    is_new, late = _new(found)
    old = int((~is_new).sum()) - late
    recent = _recent(found, is_new)
    rest = ~recent if everything else is_new & ~recent
    kept, rows = _frozen(found, rest & is_new, holding)
    train = holding.without(found.rows, rest, kept, rows)
    # What was held out for good before is not new, however far the training went.
    is_new = is_new if holding.frozen is None else holding.without(found.rows, is_new, kept, rows)
    counts = Counts(
        read=len(frame),
        unlabelled=len(frame) - len(labelled),
        without_cursor=int((~known).sum()),
        old=old,
        late=late,
        new=int(is_new.sum()),
    )
    mark = _mark(found, train) if train.any() else None
    return Fresh(found.rows[train], found.rows[recent], rows, kept, mark, counts)


def _all_new(frame: Table, labelled: Table, holding: Holding) -> Fresh:
    """Divide rows of which all are new: the last ones are the newest."""
    import numpy as np

    count = len(labelled)
    recent = np.arange(count) >= count - int(count * RECENT_SHARE)
    kept, rows = holding.among(labelled, ~recent)
    train = holding.without(labelled, ~recent, kept, rows)
    counts = Counts(len(frame), len(frame) - count, 0, 0, 0, count)
    return Fresh(labelled[train], labelled[recent], rows, kept, None, counts)


def _new(found: _Labelled) -> tuple[Array, int]:
    """Tell which rows are new, and how many came too late to be."""
    import numpy as np

    since = found.since
    if since is None:
        return np.ones(len(found.rows), dtype=bool), 0
    if (since.cursor, since.kind) != (found.cursor, found.kind):
        raise UsageError(
            f"The last training went by the cursor {since.cursor} ({since.kind}), not {found.cursor} "
            f"({found.kind}).",
            f"Say --cursor {since.cursor}, or --after VALUE to begin anew with {found.cursor}.",
        )
    value = value_of(since.value, found.kind)
    is_new = (found.places > value).to_numpy(dtype=bool, copy=True)
    late = max(0, int((found.places < value).sum()) - since.below)
    at = (found.places == value).to_numpy(dtype=bool).nonzero()[0]
    if not since.ties:
        return is_new, late + max(0, len(at) - since.tied)
    seen = Counter(since.ties)
    for place, mark in zip(at, written(digests_of(found.rows.iloc[at])), strict=True):
        if seen[mark]:
            seen[mark] -= 1
        else:
            is_new[place] = True
    return is_new, late


def _recent(found: _Labelled, is_new: Array) -> Array:
    """Choose the newest share of the new rows: whole values of the cursor, so that no tie is cut.

    Where all have one value the share is drawn by their digests.
    """
    import numpy as np

    new = found.places[is_new]
    if not len(new):
        return np.zeros(len(found.rows), dtype=bool)
    counts = new.value_counts().sort_index(ascending=False)
    if len(counts) == 1:
        return is_new & drawn(digests_of(found.rows), RECENT_SHARE, salt=1)
    reached = counts.cumsum().to_numpy() < len(new) * RECENT_SHARE
    first = min(int(reached.sum()), len(counts) - 2)  # at most all but the oldest
    return is_new & (found.places >= counts.index[first]).to_numpy(dtype=bool)


def _frozen(found: _Labelled, eligible: Array, holding: Holding) -> tuple[Frozen | None, Table]:
    """Draw the frozen holdout, or have it again: from where it lies, else by the rule that drew it."""
    frozen = holding.frozen
    if frozen is None:
        lower = "" if found.since is None else found.since.value
        if lower:  # of a value that is cut in two the rule could not say which rows were meant
            eligible = eligible & _above(found, lower)
        kept, rows = holding.among(found.rows, eligible)
        if kept is None:
            return None, rows
        upper = text_of(found.places[eligible].max(), found.kind)
        return Frozen(kept.digest, kept.rows, kept.columns, lower, upper), rows
    if holding.rows is not None or not frozen.upto:
        return holding.among(found.rows, eligible)
    inside = ~_above(found, frozen.upto)
    if frozen.after:
        inside &= _above(found, frozen.after)
    rows = found.rows[inside & drawn(digests_of(found.rows, frozen.columns), frozen.share)]
    return frozen, _as_kept(frozen, rows)


def _above(found: _Labelled, text: str) -> Array:
    return (found.places > value_of(text, found.kind)).to_numpy(dtype=bool)


def described(rows: Table) -> Frozen | None:
    """Describe a holdout; None where it has no rows."""
    if not len(rows):
        return None
    columns = tuple(sorted(map(str, rows.columns)))
    return Frozen(content(rows, columns), len(rows), columns)


def _as_kept(frozen: Frozen, rows: Table) -> Table:
    if rows is None or content(rows, frozen.columns) != frozen.digest:
        raise RefusedError(
            f"The frozen holdout of {frozen.rows} rows is not what it was: some were changed or deleted.",
            "Bring them back into the source, or draw another with --refreeze: what came before is then "
            "judged on other rows.",
        )
    return rows


def _mark(found: _Labelled, train: Array) -> Watermark:
    """Say how far rows to train on go; what was trained on before at that very value counts too."""
    value = found.places[train].max()
    text, among = text_of(value, found.kind), (found.places == value).to_numpy(dtype=bool)
    below, since = int((found.places < value).sum()), found.since
    marks = written(digests_of(found.rows[train & among]))
    whole = Watermark(found.cursor, text, found.kind, (), int(among.sum()), below)
    if since is not None and since.value == text:
        if not since.ties:
            return whole
        # A row that is trained on once more, with all the others, is in both.
        marks = [*since.ties, *(Counter(marks) - Counter(since.ties)).elements()]
    if len(marks) > _TIES:
        return whole
    return Watermark(found.cursor, text, found.kind, tuple(marks), len(marks), below)


def as_facts(counts: Counts) -> Mapping[str, float | bool]:
    """Say what a condition may ask of the rows: how many are new, and whether any is."""
    return {"rows": float(counts.new), "new data": counts.new > 0}
