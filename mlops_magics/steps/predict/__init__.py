"""Predict: ask a live endpoint and keep the answer's lineage, or score files with a version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, overload

import orjson

from mlops_magics.artifact.loading import Method
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.blocks import Block, Cell, Note, Table, Title
from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.facts import Consents
from mlops_magics.steps.deploy.result import Deployment
from mlops_magics.steps.predict.batch import Asked, Scored, scored
from mlops_magics.targets.base import Answer
from mlops_magics.targets.finding import find
from mlops_magics.tracking.store import open_store

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
        values: A prediction a row: a label, a number, or a probability a class; an object of a model that
            answers with a table.
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
        if first and isinstance(first[0], dict):
            yield Table(("row", *first[0]), [(i, *map(_cell, row.values())) for i, row in enumerate(first)])
        elif first and isinstance(first[0], list):
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


@overload
def predict(
    endpoint: str | Deployment,
    data: object,
    *,
    proba: bool = False,
    to: str = "local",
    settings: Settings | None = None,
) -> Prediction: ...
@overload
def predict(
    endpoint: str,
    data: None = None,
    *,
    input: str,
    output: Path,
    proba: bool = False,
    keep: tuple[str, ...] = (),
    engine: str = "local",
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Scored: ...
def predict(  # noqa: PLR0913 - one verb and its options
    endpoint: str | Deployment,
    data: object = None,
    *,
    input: str | None = None,  # noqa: A002 - the option's name
    output: Path | None = None,
    proba: bool = False,
    keep: tuple[str, ...] = (),
    engine: str = "local",
    to: str = "local",
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Prediction | Scored:
    """Ask a live endpoint for predictions over HTTP; or score files with a registered version itself.

    With ``--input`` and ``--output`` the version's files are loaded here, and the rows are read, scored and
    written part by part, so that files may be larger than memory. What is scored already is left out when
    the same line is run again. A row that does not fit the model has no answer, and an ``error`` beside it.

    Args:
        endpoint: The endpoint's name, or what ``%mlops_deploy`` returned. With ``--input``: the version,
            ``flights@champion`` or ``flights/3``.
        data: The rows: a pandas or Polars DataFrame, an Arrow table, an array, or the path of a CSV or
            parquet file, with the columns that the model was trained on. Other columns are ignored.
        input: The parquet or CSV files that are to be scored: a path, a glob or a folder.
        output: The folder that the answers are written to, as parquet, beside the columns that the model
            does not take.
        proba: Ask for a probability a class instead of a label.
        keep: More columns that are written beside the answers.
        engine: Where files are scored: local, or ray for the tasks of a Ray cluster that sees the same paths.
        to: The serving target that the endpoint lives on.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its author along, which executes it.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The predictions, with the request's id; or what was scored.

    Raises:
        NotFoundError: There is no such endpoint, version or file.
        UsageError: The endpoint refused a column or a value; the message names column and row.
        RefusedError: The folder holds answers of another version or to other rows.
        UnavailableError: The endpoint does not answer.
    """
    settings = settings or Settings.discover()
    if input is not None or output is not None:
        if input is None or output is None or not isinstance(endpoint, str) or data is not None:
            raise UsageError(
                "Files are scored with --input and --output.",
                "%mlops_predict flights@champion --input big.parquet --output scored/",
            )
        method: Method = "predict_proba" if proba else "predict"
        consents = Consents(allow_pickle, allow_code)
        return scored(open_store(settings), endpoint, Asked(input, output, method, keep, engine, consents))
    return _predicted(endpoint, data, settings, proba=proba, to=to)


def _predicted(
    endpoint: str | Deployment, data: object, settings: Settings, *, proba: bool, to: str
) -> Prediction:
    """Ask a live endpoint."""
    if data is None:
        raise UsageError("Which rows?", "%mlops_predict ENDPOINT DATA")
    name = (endpoint if isinstance(endpoint, str) else endpoint.name).partition("@")[0]
    target = find(to, settings, masked(settings.store))
    frame = Frame.of_rows(data)
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
