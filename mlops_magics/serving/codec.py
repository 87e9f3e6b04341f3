"""MLflow's scoring protocol, strictly: a request body becomes typed columns, an array becomes an answer.

A codec is built once from the model's schema, so that a request pays only for its own cells. No error
ever repeats a value of a request: it names the column, the row and the type that was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import orjson

from mlops_magics.artifact.foreign import records
from mlops_magics.artifact.loading import Method
from mlops_magics.artifact.order import Limits
from mlops_magics.artifact.schema import Schema
from mlops_magics.serving.cells import CellError, Decoder, decoder, guessed
from mlops_magics.serving.errors import RequestError, bad
from mlops_magics.serving.forms import FORMS, Forms, Found, media, parsed
from mlops_magics.serving.reply import Reply
from mlops_magics.serving.rows import Columns, Rows

_NUMBERS = frozenset({float, int})


@dataclass(slots=True, eq=False)
class Batch:
    """What a request asks for.

    Attributes:
        held: One array a column, in the model's order, or rows of which these can be made.
        rows: How many rows there are.
        method: Which method of the estimator is asked.
        reply: How the answer is written; None for MLflow's JSON.
    """

    held: Columns | Rows
    rows: int
    method: Method
    reply: Reply | None = None

    @property
    def columns(self) -> Columns:
        """One array a column, in the model's order."""
        if isinstance(self.held, Rows):
            self.held = self.held.typed()
        return self.held


class Codec:
    """Reads requests for one model and writes its answers.

    Args:
        schema: The model's columns, or None where it has no plain table as signature.
        methods: The methods that may be asked for, the default first.
        names: The columns of a model without schema, in its order; None takes what the request brings.
        limits: The largest request; may be set anew.
    """

    def __init__(
        self,
        schema: Schema | None,
        *,
        methods: Sequence[Method] = ("predict",),
        names: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._columns = columns = schema.columns if schema else ()
        self._names: tuple[str, ...] | None = schema.names if schema else tuple(names) if names else None
        self._decoders: dict[str, Decoder] = {column.name: decoder(column) for column in columns}
        self._optional = frozenset(column.name for column in columns if not column.required)
        self._blocks = tuple(
            (
                tuple(
                    column.name for column in columns if (column.type, column.required) == ("double", must)
                ),
                kinds,
            )
            for must, kinds in ((True, _NUMBERS), (False, _NUMBERS | {type(None)}))
        )
        self._methods = tuple(methods)
        self.limits = limits or Limits()
        self._forms = Forms(columns, self._names, self.count)

    def decode(self, body: bytes, content_type: str | None) -> Batch:
        """Read a request.

        Args:
            body: The request's body.
            content_type: The request's Content-Type header.

        Returns:
            Its typed columns.

        Raises:
            RequestError: The request is malformed or does not fit the model.
        """
        kind = media(content_type)
        if len(body) > self.limits.body_bytes:
            raise RequestError(
                413, "BODY_TOO_LARGE", f"The body has more than {self.limits.body_bytes} bytes."
            )
        if kind == "text/csv":
            return self._batch(*self._forms.csv(body), self._methods[0])
        content = parsed(body)
        form = [key for key in content if key in FORMS]
        if len(form) != 1 or len(content) != 1 + ("params" in content):
            bad(f"The body must have exactly one of {', '.join(FORMS)}, and at most params beside it.")
        method = self.method(content["params"]) if "params" in content else self._methods[0]
        return self._batch(*self._forms.read(form[0], content[form[0]]), method)

    def typed(self, found: Mapping[str, Sequence[Any]], rows: int, method: Method) -> Batch:
        """Check and type columns of raw cells, however they came.

        Args:
            found: The cells of each column, as JSON would have brought them; more columns than the model has
                are ignored.
            rows: How many cells each has.
            method: Which method of the estimator is asked.

        Raises:
            RequestError: They do not fit the model.
        """
        self.count(rows)
        return self._batch(dict(found), rows, method)

    def encode(self, found: np.ndarray[Any, Any], fields: tuple[str, ...] | None = None) -> bytes:
        """Write an answer.

        Args:
            found: What the estimator answered, one entry or row of entries for each row.
            fields: The names of the entries, where each row is to be an object as MLflow has it.

        Returns:
            A JSON object; NaN becomes null.
        """
        if fields is not None:
            return orjson.dumps({"predictions": records(found, fields)})
        native = found.dtype.kind in "bif" and found.dtype.itemsize <= 8  # noqa: PLR2004 - bytes that JSON knows
        values = np.ascontiguousarray(found) if native else found.tolist()
        return orjson.dumps({"predictions": values}, option=orjson.OPT_SERIALIZE_NUMPY, default=str)

    @property
    def names(self) -> Sequence[str] | None:
        """The model's columns in its order; None where it takes what a request brings."""
        return self._names

    def method(self, params: object) -> Method:
        """Read which method is asked.

        Args:
            params: What a request has as ``params``: nothing, or an object with ``method``.

        Raises:
            RequestError: It is anything else.
        """
        if params is None or params == {}:
            return self._methods[0]
        if not isinstance(params, dict) or params.keys() != {"method"}:
            bad("params may hold nothing but method.")
        if params["method"] not in self._methods:
            bad(f"params.method must be one of: {', '.join(self._methods)}.")
        return cast("Method", params["method"])

    def count(self, rows: int) -> None:
        """Refuse a request without rows, or with too many; raises RequestError."""
        if not rows:
            bad("The request has no rows.")
        if rows > self.limits.rows:
            raise RequestError(413, "TOO_MANY_ROWS", f"The request has more than {self.limits.rows} rows.")

    def _batch(self, found: Found, rows: int, method: Method) -> Batch:
        """Check and type each column, in the model's order, where that is not left for later."""
        if isinstance(found, Rows):
            return Batch(found, rows, method)
        columns: Columns = {}
        typed = self._doubles(found)
        for name in found if self._names is None else self._names:
            if name in typed:
                columns[name] = typed[name]
                continue
            values = found.get(name)
            if values is None:
                if name not in self._optional:
                    raise RequestError(400, "MISSING_COLUMN", "A required column is missing.", column=name)
                values = (None,) * rows
            try:
                columns[name] = self._decoders.get(name, guessed)(values)
            except CellError as error:
                raise RequestError(
                    422,
                    "INVALID_CELL",
                    f"Expected {error.expected}.",
                    column=name,
                    row=error.row,
                ) from None
        return Batch(columns, rows, method)

    def _doubles(self, found: dict[str, Sequence[Any]]) -> Columns:
        """Type all columns of doubles at once, where each is there and sound; else one by one, to name it."""
        typed: Columns = {}
        for names, kinds in self._blocks:
            try:
                cells = [found[name] for name in names]
            except KeyError:
                continue
            if cells and all(kinds.issuperset(map(type, each)) for each in cells):
                typed.update(zip(names, np.array(cells, dtype=np.float64), strict=True))
        return typed
