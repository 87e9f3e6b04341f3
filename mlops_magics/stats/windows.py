"""How the rows of a length of time look, counted in the bins of a model's own reference.

Windows of one reference add up: hours to a day, servers to an endpoint. No row is in them, and of columns
that look personal no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from mlops_magics.artifact.reference import Reference
from mlops_magics.foundation import forms
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.counting import answers_of, column_of
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.naming import labels
from mlops_magics.stats.window_columns import REMEDY, Answers, ColumnWindow

VERSION: Final = 1
__all__ = ["Answers", "ColumnWindow", "Window", "counted", "total"]


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of a length of time.

    Attributes:
        reference: The digest of the reference in whose bins they were counted.
        rows: How many there were.
        columns: Each column of the reference, in its order.
        began: When they began, in UTC; None where that is not known.
        ended: When they ended.
        answers: What the model answered; None where that was not told.
    """

    reference: str
    rows: int
    columns: tuple[ColumnWindow, ...]
    began: datetime | None = None
    ended: datetime | None = None
    answers: Answers | None = None

    @property
    def by_name(self) -> Mapping[str, ColumnWindow]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def __add__(self, other: Window) -> Window:
        if self.reference != other.reference:
            raise MLOpsError("Windows of two references do not add up.", REMEDY)
        answers = [each.answers for each in (self, other) if each.answers is not None]
        return Window(
            self.reference,
            self.rows + other.rows,
            tuple(one + two for one, two in zip(self.columns, other.columns, strict=True)),
            began=min((each for each in (self.began, other.began) if each), default=None),
            ended=max((each for each in (self.ended, other.ended) if each), default=None),
            answers=answers[0] + answers[1] if len(answers) == 2 else next(iter(answers), None),  # noqa: PLR2004 - of both
        )

    def to_json(self) -> bytes:
        """Write it as compact JSON; what is empty is left out."""
        told = asdict(self) | {
            "version": VERSION,
            "began": None if self.began is None else self.began.isoformat(),
            "ended": None if self.ended is None else self.ended.isoformat(),
            "columns": [_short(asdict(column)) for column in self.columns],
            "answers": None if self.answers is None else _short(asdict(self.answers)),
        }
        return orjson.dumps(_short(told))

    @classmethod
    def from_json(cls, content: bytes | str) -> Window:
        """Read it.

        Args:
            content: The JSON text.

        Raises:
            MLOpsError: It is damaged, or of a version that this release does not read.
        """
        with forms.told(content, VERSION, "The window", REMEDY) as told:
            return cls(
                reference=str(told["reference"]),
                rows=int(told.get("rows", 0)),
                columns=tuple(ColumnWindow.from_dict(column) for column in told.get("columns", ())),
                began=_moment(told.get("began")),
                ended=_moment(told.get("ended")),
                answers=None if told.get("answers") is None else Answers.from_dict(told["answers"]),
            )


def counted(
    reference: Reference,
    frame: object,
    *,
    answers: object = None,
    began: datetime | None = None,
    ended: datetime | None = None,
) -> Window:
    """Count rows in the bins of a model's reference.

    Args:
        reference: What the model's rows were like when it was fitted.
        frame: The rows: a pandas or Polars DataFrame, an Arrow table, or the path of a CSV or parquet file.
            Columns that the reference does not have are not looked at. A column that it has and the rows
            have not is told as absent, unless it looks personal: a journal leaves those out.
        answers: What the model answered to these rows: a label or a number a row, or a probability a class
            a row.
        began: When the rows began.
        ended: When they ended.

    Returns:
        The window. Windows of the same reference add up.

    Raises:
        UsageError: The rows are no table.
    """
    table = Frame.of(frame)
    places = {name: place for place, name in reversed(list(enumerate(labels(table.names))))}
    columns = tuple(
        column_of(known, decoded(table, places[known.name]) if known.name in places else None, table.rows)
        for known in reference.columns
    )
    told = (
        None
        if answers is None or reference.predictions is None
        else answers_of(reference.predictions, answers)
    )
    return Window(reference.digest, table.rows, columns, began, ended, told)


def total(windows: Sequence[Window]) -> Window | None:
    """Add up windows of one reference; None of none."""
    found: Window | None = None
    for window in windows:
        found = window if found is None else found + window
    return found


def _short(told: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty or nothing."""
    return {key: value for key, value in told.items() if value or key == "rows"}


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
