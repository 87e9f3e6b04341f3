"""Predict: ask a live endpoint, and keep the answer's lineage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.blocks import Block, Cell, Note, Table, Title
from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.result import Deployment
from mlops_magics.targets.base import Answer
from mlops_magics.targets.finding import find

_SHOWN_ROWS = 10
_PART_ROWS = 20_000
_PART_CELLS = 500_000


@dataclass(frozen=True)
class Prediction(Result):
    """What an endpoint answered.

    Attributes:
        endpoint: The endpoint's name.
        model: The registered model behind it.
        version: The version that answered.
        values: A prediction a row: a label, a number, or a probability a class.
        request_ids: The lineage id of each request that it took; one up to 20,000 rows.
        seconds: How long the answer took.
    """

    endpoint: str
    model: str
    version: str
    values: tuple[Any, ...]
    request_ids: tuple[str, ...]
    seconds: float

    volatile: ClassVar[bool] = False

    def blocks(self) -> Iterable[Block]:
        """Show the first predictions, a row a line."""
        yield Title(f"{len(self.values):,} predictions of {self.endpoint}", self.model, "good")
        first = self.values[:_SHOWN_ROWS]
        if first and isinstance(first[0], list):
            names = [f"class {i}" for i in range(len(first[0]))]
            yield Table(("row", *names), [(i, *map(_cell, row)) for i, row in enumerate(first)])
        else:
            yield Table(("row", "prediction"), [(i, _cell(value)) for i, value in enumerate(first)])
        if len(self.values) > len(first):
            yield Note(f"{len(self.values) - len(first):,} more are in .values", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the request and the version that answered."""
        return {"request_id": self.request_id, "version": self.version}

    @property
    def request_id(self) -> str:
        """The lineage id of the first request: the endpoint knows it as ``x-request-id``."""
        return self.request_ids[0]


def predict(
    endpoint: str | Deployment,
    data: object,
    *,
    proba: bool = False,
    to: str = "local",
    settings: Settings | None = None,
) -> Prediction:
    """Ask a live endpoint for predictions over HTTP.

    Args:
        endpoint: The endpoint's name, or what ``%mlops_deploy`` returned.
        data: The rows: a pandas or Polars DataFrame, an Arrow table, or the path of a CSV or parquet
            file, with the columns that the model was trained on. Other columns are ignored.
        proba: Ask for a probability a class instead of a label.
        to: The serving target that the endpoint lives on.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The predictions, with the request's id.

    Raises:
        NotFoundError: There is no such endpoint or file.
        UsageError: The endpoint refused a column or a value; the message names column and row.
        UnavailableError: The endpoint does not answer.
    """
    settings = settings or Settings.discover()
    name = (endpoint if isinstance(endpoint, str) else endpoint.name).partition("@")[0]
    target = find(to, settings, masked(settings.store))
    frame = Frame.of(data)
    answers = [
        target.call(name, split_body(part, "predict_proba" if proba else "predict")) for part in _parts(frame)
    ]
    live = next((item for item in target.list() if item.name == name), None)
    return Prediction(
        endpoint=name,
        model="" if live is None else live.model,
        version=answers[0].headers.get("x-model-version", ""),
        values=tuple(value for answer in answers for value in _values(name, answer)),
        request_ids=tuple(answer.headers.get("x-request-id", "") for answer in answers),
        seconds=sum(answer.seconds for answer in answers),
    )


def _parts(frame: Frame) -> Iterator[Frame]:
    """Cut a table into requests that every endpoint takes: its limits are 100,000 rows and 16 MiB."""
    rows = max(1, min(_PART_ROWS, _PART_CELLS // max(1, len(frame.names))))
    if frame.rows <= rows:
        yield frame
        return
    table = frame.to_pandas()
    for begin in range(0, frame.rows, rows):
        yield Frame(table.iloc[begin : begin + rows], "pandas", frame.source)


def _values(name: str, answer: Answer) -> list[Any]:
    try:
        values: list[Any] = orjson.loads(answer.body)["predictions"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"{name} answered with something that is no prediction.",
            "Another program may be listening at its port: deploy it again.",
        ) from error
    return values


def _cell(value: object) -> Cell:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
