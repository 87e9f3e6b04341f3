"""A version beside the holder of an alias: what the evaluation found, and what differs between their runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.checks import show
from mlops_magics.checks.assessment import Assessment
from mlops_magics.foundation.blocks import Block, Note, Title
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.result import Result
from mlops_magics.steps.track.comparison import Comparison, compared
from mlops_magics.tracking import belongings, evaluations
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.recall import fetched_text, recall
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_NAME = "evaluation.json"


@dataclass(frozen=True)
class Beside(Result):
    """A version beside another one.

    Attributes:
        model: The registered model's name.
        version: The version in question.
        holder: The version that holds the alias; None where none does, or where it is this one.
        assessment: What its newest evaluation found; None where that is not kept any more.
        against: The version that it was compared with there, or None.
        runs: What differs between the runs, the holder's first; None where one of them is not there.
    """

    model: str
    version: str
    holder: str | None
    assessment: Assessment | None = None
    against: str | None = None
    runs: Comparison | None = None

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the evaluation with intervals and slices, then parameters, data and code that differ."""
        if self.assessment is not None:
            beside = f", beside {self.against}" if self.against else ""
            yield from show.blocks(self.assessment, f"{self.model}/{self.version}{beside}")
        else:
            yield Title(f"{self.model}/{self.version}")
            yield Note(
                "Its evaluation is not kept, or is older than the newest one. Evaluate it again.", "quiet"
            )
        if self.runs is not None:
            yield from self.runs.blocks()
        elif self.holder is not None:
            yield Note(f"The run of this version, or of version {self.holder}, is not there.", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the version."""
        return {"model": self.model, "version": self.version}


def beside(store: Store, item: ModelVersion, held: ModelVersion | None) -> Beside:
    """Put a version beside the holder of an alias.

    Args:
        store: The open store.
        item: The version.
        held: The holder; None where there is none.
    """
    other = held if held is not None and held.version != item.version else None
    summary = evaluations.read(store, item)
    return Beside(
        item.model,
        item.version,
        None if other is None else other.version,
        None if summary is None else _assessment(store, item, summary),
        None if summary is None else summary.against,
        None if other is None else _runs(store, other, item),
    )


def _assessment(store: Store, item: ModelVersion, summary: Summary) -> Assessment | None:
    """Read the whole of the evaluation that the summary is of; another one would tell of other rows."""
    for text in _kept(store, item):
        try:
            content = json.loads(text)
            if (content["data"]["digest"], content["against"]) == (summary.data, summary.against):
                return Assessment.from_dict(content["assessment"])
        except (MLOpsError, ValueError, KeyError, TypeError):
            continue
    return None


def _kept(store: Store, item: ModelVersion) -> Iterator[str | bytes]:
    """Read the evaluations that are kept: the version's own, then that of its run, which may be newer."""
    with suppress(MLOpsError):
        yield belongings.get(store, item, _NAME)
    if item.run_id is not None:
        with suppress(MLOpsError):
            yield fetched_text(store, item.run_id, f"mlops/{_NAME}")


def _runs(store: Store, held: ModelVersion, item: ModelVersion) -> Comparison | None:
    if held.run_id is None or item.run_id is None:
        return None
    try:
        return compared(recall(store, None, held.run_id), recall(store, None, item.run_id))
    except MLOpsError:
        return None
