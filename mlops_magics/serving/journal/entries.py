"""What a journal notes: answered and refused requests, and how many of them become one Arrow table."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, MutableSequence, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_magics.artifact.loading import Method
    from mlops_magics.serving.rows import Columns

INPUT: Final = "input."
"""What the name of a column of the model's begins with in a journal."""

_SPANS: Final = ("decode", "queue", "predict", "encode")
_LONG: Final = 100  # characters of a column's name: a client may make one up


@dataclass(slots=True, eq=False)  # frozen ones take much longer to make
class Calls:
    """Requests, a list for each thing that is known of them: a thousand objects less a turn of the journal.

    Attributes:
        ids: Their ids.
        rows: How many rows each had.
        began: When each came, on the clock of ``time.perf_counter``.
        decode: Seconds that reading it took; NaN while it is not known, as of all that follow.
        queue: Seconds that it waited.
        predict: Seconds that computing took, with those that were computed together.
        encode: Seconds that writing the answer took; whoever learns it writes it here.
    """

    ids: Sequence[str]
    rows: Sequence[int]
    began: Sequence[float]
    decode: Sequence[float]
    queue: Sequence[float]
    predict: Sequence[float]
    encode: MutableSequence[float]


@dataclass(slots=True, eq=False)  # frozen ones take much longer to make
class Answered:
    """Requests that were computed together.

    Attributes:
        calls: The requests, in the order of their rows.
        columns: Their rows, one array a column.
        found: The answers.
        method: What was asked.
        version: Which version answered.
        role: Why it did: "live", "canary" or "shadow".
    """

    calls: Calls
    columns: Columns
    found: np.ndarray[Any, Any]
    method: Method
    version: str
    role: str = "live"


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that got no prediction.

    Attributes:
        id: The request's id.
        began: When it came, on the clock of ``time.perf_counter``.
        decode: Seconds that reading it took; NaN where it could not be read.
        status: The HTTP status.
        code: The error's code.
        version: Which version refused it.
        column: The column that it is about, where it is about one.
        rule: The rule of the contract that it breaks, where it breaks one.
    """

    id: str
    began: float
    decode: float
    status: int
    code: str
    version: str
    column: str | None = None
    rule: str | None = None


def table_of(entries: Iterable[Answered | Refused], leave_out: Collection[str]) -> pa.Table:
    """Make a table of entries: a row for each row that was predicted, and one for each refusal.

    Args:
        entries: The entries.
        leave_out: Columns of the model whose values are not kept.

    Returns:
        ``time`` (UTC), ``request_id``, ``row`` (its number in the request), ``version``, ``role``,
        ``method``, ``status``, ``error``, of refusals ``column`` and ``rule``, ``decode_ms``, ``queue_ms``,
        ``predict_ms``, ``encode_ms``, one ``input.NAME`` a column, and ``prediction`` or
        ``probabilities``; in no order.
    """
    import pyarrow as pa

    tables = [_answers(some, leave_out) for some in _alike(entries)]
    refused = [each for each in entries if isinstance(each, Refused)]
    if refused:
        tables.append(_refusals(refused))
    return pa.concat_tables(tables, promote_options="permissive")


def no_lines() -> pa.Table:
    """Make a table without lines, with the columns that each journal has."""
    import pyarrow as pa

    words = pa.dictionary(pa.int32(), pa.string())
    fields = {"time": pa.timestamp("us", tz="UTC"), "request_id": pa.string(), "row": pa.int32()}
    fields |= {f"{span}_ms": pa.float32() for span in _SPANS}
    fields |= dict.fromkeys(("version", "role", "method", "error", "column", "rule"), words)
    fields |= {"status": pa.int16()}
    return pa.schema(list(fields.items())).empty_table()


def _alike(entries: Iterable[Answered | Refused]) -> Iterable[list[Answered]]:
    """Group answers that have the same columns in the same types."""
    groups: dict[object, list[Answered]] = {}
    for each in entries:
        if isinstance(each, Answered):
            kinds = "".join([values.dtype.char for values in each.columns.values()])
            key = (each.method, each.version, each.role, each.found.ndim, tuple(each.columns), kinds)
            groups.setdefault(key, []).append(each)
    return groups.values()


def _answers(some: list[Answered], leave_out: Collection[str]) -> pa.Table:
    import pyarrow as pa

    one = some[0]
    told = _frame(
        [each.calls for each in some],
        {"version": one.version, "role": one.role, "method": one.method, "error": None},
    )
    told["status"] = pa.repeat(pa.scalar(200, pa.int16()), len(told["time"]))
    for name in one.columns:
        if name not in leave_out:
            told[INPUT + name] = _array(_below([each.columns[name] for each in some]))
    found = _below([each.found for each in some])
    if one.method == "predict_proba" or found.ndim > 1:
        told["probabilities"] = pa.array(list(found), pa.list_(pa.float64()))
    else:
        told["prediction"] = _array(found)
    return pa.table(told)


def _refusals(refused: list[Refused]) -> pa.Table:
    import pyarrow as pa

    unknown = [np.nan] * len(refused)
    calls = Calls(
        ids=[each.id for each in refused],
        rows=[1] * len(refused),  # a line in the journal, whatever was asked
        began=[each.began for each in refused],
        decode=[each.decode for each in refused],
        queue=unknown,
        predict=unknown,
        encode=unknown,
    )
    told = _frame([calls], {"role": "live", "method": None})
    told["version"] = _words([each.version for each in refused])
    told["error"] = _words([each.code for each in refused])
    told["column"] = _words([None if each.column is None else each.column[:_LONG] for each in refused])
    told["status"] = pa.array([each.status for each in refused], pa.int16())
    told["rule"] = _words([each.rule for each in refused])
    return pa.table(told)


def _frame(several: Sequence[Calls], same: dict[str, str | None]) -> dict[str, pa.Array]:
    """Make the columns that each line has."""
    import pyarrow as pa

    def all_of(name: str) -> list[Any]:
        return list(chain.from_iterable(map(attrgetter(name), several)))

    ids, counts = all_of("ids"), np.array(all_of("rows"))
    rows = int(counts.sum())
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    shift = time.time() - time.perf_counter()
    moments = np.repeat(np.array(all_of("began")) + shift, counts)
    told: dict[str, pa.Array] = {
        "time": pa.array((moments * 1e6).astype("M8[us]"), pa.timestamp("us", tz="UTC")),
        "request_id": pa.array(ids if rows == len(ids) else np.repeat(np.array(ids, dtype=object), counts)),
        "row": pa.array((np.arange(rows) - np.repeat(starts, counts)).astype(np.int32)),
    }
    for span in _SPANS:
        spent = (np.array(all_of(span)) * 1000).astype(np.float32)
        told[f"{span}_ms"] = pa.array(np.repeat(spent, counts), from_pandas=True)
    for name, word in same.items():
        told[name] = _same_word(word, rows)
    return told


def _same_word(word: str | None, rows: int) -> pa.Array:
    import pyarrow as pa

    if word is None:
        return pa.nulls(rows, pa.dictionary(pa.int32(), pa.string()))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([word]))


def _words(words: Sequence[str | None]) -> pa.Array:
    import pyarrow as pa

    return pa.array(words, pa.string()).dictionary_encode()


def _below(parts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _array(values: np.ndarray[Any, Any]) -> pa.Array:
    """Bring one column to Arrow; as text where it has several types, as only without a signature it can."""
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=values.dtype.kind == "f")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if each is None else str(each) for each in values.tolist()], pa.string())
