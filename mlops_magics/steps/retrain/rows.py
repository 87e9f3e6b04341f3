"""The rows of a retraining, read and divided, and its holdouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.files import private_folder
from mlops_magics.steps.retrain import source
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.flow import folder_of
from mlops_magics.steps.retrain.fresh import Fresh, Holding, as_facts, gather
from mlops_magics.steps.retrain.judging import Holdout
from mlops_magics.steps.retrain.marks import Frozen, Table, Watermark, after, content, saved
from mlops_magics.steps.retrain.when import Facts
from mlops_magics.tracking import registry, retrainings
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a retraining.

    Attributes:
        fresh: The rows; None where the notebook finds them by itself.
        holdouts: Rows to judge by, the recent ones last.
        facts: What a condition may ask of them.
        frozen: What the frozen holdout is to be from now on; None where it stays as it is.
    """

    fresh: Fresh | None
    holdouts: tuple[Holdout, ...]
    facts: Facts
    frozen: Frozen | None = None


def gathered(store: Store, asked: Asked, base: ModelVersion, target: str) -> Rows:
    """Read the fresh rows, find what is new, and divide it.

    Args:
        store: The open store.
        asked: What was asked.
        base: The version whose watermark counts.
        target: The column that is predicted.

    Raises:
        RefusedError: The frozen holdout is not what it was.
    """
    given = None if asked.holdout is None else _given(store, asked)
    if asked.data is None:
        return Rows(None, () if given is None else (Holdout("frozen", given),), {})
    frame = source.rows(asked.data)
    since = _since(asked, base, frame)
    text = None if asked.refreeze or given is not None else retrainings.frozen(store, asked.model)
    known = None if text is None else Frozen.of_json(text)
    fresh = gather(
        frame,
        target=target,
        cursor=asked.cursor,
        since=since,
        holding=Holding(known, None if known is None else _kept(store, asked, known), given is None, given),
        everything=asked.everything,
    )
    newest = _newest(store, asked, base)
    counts = fresh.counts
    if newest is not None and newest != since:  # another version has seen some of these rows already
        counts = gather(
            frame, target=target, cursor=asked.cursor, since=newest, holding=Holding(draw=False)
        ).counts
    frozen = fresh.frozen if given is None else given
    return Rows(
        fresh,
        (Holdout("frozen", frozen), Holdout("recent", fresh.recent)),
        as_facts(counts),
        fresh.kept if given is None and known is None else None,
    )


def keep(store: Store, asked: Asked, rows: Rows) -> None:
    """Keep a frozen holdout that was drawn just now: what it is with the model, its rows on this machine."""
    if rows.frozen is None or rows.fresh is None:
        return
    saved(rows.fresh.frozen, _path(store, asked, rows.frozen.digest))
    retrainings.freeze(store, asked.model, rows.frozen.to_json())


def _since(asked: Asked, base: ModelVersion, frame: Table) -> Watermark | None:
    if asked.cursor is None:
        return None
    if asked.after is not None:
        return after(asked.after, asked.cursor, frame)
    return Watermark.of_json(base.tags.get(retrainings.WATERMARK, ""))


def _newest(store: Store, asked: Asked, base: ModelVersion) -> Watermark | None:
    """Find the watermark of the newest version that has one: what it was trained on is not new any more."""
    if asked.cursor is None:
        return None
    for item in registry.versions(store, asked.model):
        mark = Watermark.of_json(item.tags.get(retrainings.WATERMARK, ""))
        if mark is not None and mark.cursor == asked.cursor:
            return mark if item.version != base.version else None
    return None


def _path(store: Store, asked: Asked, digest: str) -> Path:
    return private_folder(folder_of(store.settings, asked.model)) / f"frozen-{digest[:16]}.parquet"


def _kept(store: Store, asked: Asked, frozen: Frozen) -> Table:
    import pandas as pd

    try:
        return pd.read_parquet(_path(store, asked, frozen.digest))
    except (OSError, ValueError):  # not there, or torn: the rule that drew it has it again
        return None


def _given(store: Store, asked: Asked) -> Table:
    """Take a holdout that is named, and make sure that it is the same each time."""
    rows = source.rows(asked.holdout)
    columns = tuple(sorted(map(str, rows.columns)))
    mark = content(rows, columns)
    text = retrainings.frozen(store, asked.model)
    known = None if text is None else Frozen.of_json(text)
    if known is not None and known.digest != mark and not asked.refreeze:
        raise RefusedError(
            f"{source.shown(asked.holdout)} is not the holdout that {asked.model} was judged on so far.",
            "Name that one, or say --refreeze: what came before is then judged on other rows.",
        )
    if known is None or known.digest != mark:
        retrainings.freeze(store, asked.model, Frozen(mark, len(rows), columns).to_json())
    return rows
