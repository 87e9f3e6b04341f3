"""Rows of the newest window beside those that were kept with the version: what columns say together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.together import Rows
from mlops_magics.foundation.frames import Frame
from mlops_magics.serving.journal.entries import INPUT
from mlops_magics.stats.coded import MOST, CodedRows, coded
from mlops_magics.steps.monitor import table
from mlops_magics.steps.monitor.counting import answered_of, features_of
from mlops_magics.steps.monitor.journal import again, lines
from mlops_magics.steps.monitor.spans import Span
from mlops_magics.steps.monitor.watched import Watched


def of_journal(watched: Watched, unit: Span) -> Rows | None:
    """Take rows of a window from all over it, file by file.

    Args:
        watched: The version with the rows that were kept with it.
        unit: The window.

    Returns:
        Rows of both; None where none were kept.
    """
    reference, then, folder = watched.reference, watched.rows, watched.journal
    if reference is None or then is None or folder is None:
        return None
    return _beside(then, again(lambda: _read(folder, reference, unit)))


def of_table(watched: Watched, frame: Frame, time: str | None, unit: Span) -> Rows | None:
    """Take rows of a window of a table, from all over it.

    Args:
        watched: The version with the rows that were kept with it.
        frame: The table.
        time: The column that tells when each row was; None where all of it is one window.
        unit: The window.
    """
    if watched.reference is None or watched.rows is None:
        return None
    part = frame if time is None else table.within(frame, time, unit.began, unit.ended)
    return _beside(watched.rows, coded(watched.reference, part, MOST))


def _beside(then: CodedRows, now: CodedRows | None) -> Rows | None:
    return None if now is None else Rows(then, now)


def _read(folder: Path, reference: Reference, unit: Span) -> CodedRows | None:
    found: CodedRows | None = None
    for part in _parts(folder, unit):
        rows = coded(reference, Frame(part, "polars", "the journal"), MOST)
        found = rows if found is None else found + rows
    return found


def _parts(folder: Path, unit: Span) -> Iterator[object]:
    """Take each so many-th row that was answered, with the columns of the model under their own names."""
    step, passed = -(-max(unit.rows, 1) // MOST), 0
    for frame in lines(folder, unit.began, until=unit.ended):
        answered = answered_of(frame)
        first = -passed % step
        passed += answered.height
        if first < answered.height:
            yield features_of(answered[first::step], INPUT)
