"""What a journal notes: answered and refused requests, and how many of them become one Arrow table."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_magics.artifact.loading import Method

INPUT: Final = "input."
"""What the name of a column of the model's begins with in a journal."""

BETWEEN: Final = "\x1f"
"""What stands between texts that are kept in one."""

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
        encode: Seconds that writing the answer took.
    """

    ids: Texts
    rows: Sequence[int]
    began: Sequence[float]
    decode: Sequence[float]
    queue: Sequence[float]
    predict: Sequence[float]
    encode: Sequence[float]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column of texts, many in one.

    Attributes:
        joined: Texts with ``BETWEEN`` between them.
        rest: What cannot be joined, as it came, by its place among these; None is a gap.
    """

    joined: Sequence[str]
    rest: Mapping[int, Sequence[Any]]

    @classmethod
    def below(cls, parts: Iterable[Texts]) -> Texts:
        """Put parts of a column below each other."""
        joined: list[str] = []
        rest: dict[int, Sequence[Any]] = {}
        for part in parts:
            rest |= {len(joined) + place: cells for place, cells in part.rest.items()}
            joined += part.joined
        return cls(joined, rest)

    def array(self) -> pa.Array:
        """Take them apart."""
        import pyarrow as pa

        made: list[pa.Array] = []
        start = 0
        for place in (*self.rest, len(self.joined)):
            if start < place:
                made.append(_apart(BETWEEN.join(self.joined[start:place])))
            if place in self.rest:
                made.append(_array(np.array(self.rest[place], dtype=object)))
            start = place + 1
        known = next((part.type for part in made if not pa.types.is_null(part.type)), pa.null())
        return pa.concat_arrays([pa.nulls(len(part), known) if part.type != known else part for part in made])


Cells: TypeAlias = "np.ndarray[Any, Any] | Texts"
"""A column of what was asked, or the answers."""


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
    columns: Mapping[str, Cells]
    found: Cells
    method: Method
    version: str
    role: str = "live"

    @property
    def lines(self) -> int:
        """How many lines it makes."""
        return int(np.sum(self.calls.rows))


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
        role: Why that version was asked: "live" or "canary".
        lines: How many lines it makes.
    """

    lines: ClassVar[int] = 1

    id: str
    began: float
    decode: float
    status: int
    code: str
    version: str
    column: str | None = None
    rule: str | None = None
    role: str = "live"


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
            kinds = tuple([_kind(cells) for cells in (each.found, *each.columns.values())])
            key = (each.method, each.version, each.role, tuple(each.columns), kinds)
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
            told[INPUT + name] = _column([each.columns[name] for each in some])
    found = [each.found for each in some]
    numbers = isinstance(one.found, np.ndarray) and one.found.ndim > 1 and one.found.dtype.kind in "biuf"
    if one.method == "predict_proba" or numbers:
        told["probabilities"] = _lists([each for each in found if isinstance(each, np.ndarray)])
    else:
        told["prediction"] = _column(found)
    return pa.table(told)


def _refusals(refused: list[Refused]) -> pa.Table:
    import pyarrow as pa

    unknown = [np.nan] * len(refused)
    calls = Calls(
        ids=Texts([each.id for each in refused], {}),
        rows=[1] * len(refused),  # a line in the journal, whatever was asked
        began=[each.began for each in refused],
        decode=[each.decode for each in refused],
        queue=unknown,
        predict=unknown,
        encode=unknown,
    )
    told = _frame([calls], {"method": None})
    told["version"] = _words([each.version for each in refused])
    told["role"] = _words([each.role for each in refused])
    told["error"] = _words([each.code for each in refused])
    told["column"] = _words([None if each.column is None else each.column[:_LONG] for each in refused])
    told["status"] = pa.array([each.status for each in refused], pa.int16())
    told["rule"] = _words([each.rule for each in refused])
    return pa.table(told)


def _frame(several: Sequence[Calls], same: dict[str, str | None]) -> dict[str, pa.Array]:
    """Make the columns that each line has."""
    import pyarrow as pa

    def all_of(name: str) -> np.ndarray[Any, Any]:
        return _below([np.asarray(getattr(calls, name)) for calls in several])

    counts = all_of("rows")
    rows = int(counts.sum())
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    ids = Texts.below(calls.ids for calls in several).array()
    if rows > len(ids):
        ids = pa.array(np.repeat(ids.to_numpy(zero_copy_only=False), counts), pa.string())
    shift = time.time() - time.perf_counter()
    moments = np.repeat(all_of("began") + shift, counts)
    told: dict[str, pa.Array] = {
        "time": pa.array((moments * 1e6).astype("M8[us]"), pa.timestamp("us", tz="UTC")),
        "request_id": ids,
        "row": pa.array((np.arange(rows) - np.repeat(starts, counts)).astype(np.int32)),
    }
    for span in _SPANS:
        spent = (all_of(span) * 1000).astype(np.float32)
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


def _apart(joined: str) -> pa.Array:
    """Take texts apart; Arrow's own function for it takes a while to import, and longer to call."""
    import pyarrow as pa

    letters = np.frombuffer(joined.encode(), np.uint8)
    between = letters == ord(BETWEEN)
    ends = np.append(np.flatnonzero(between), len(letters))
    offsets = np.append(0, ends - np.arange(len(ends))).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(letters[~between]))


def _kind(cells: Cells) -> tuple[object, ...]:
    """Tell which columns can be put below each other."""
    return ("texts",) if isinstance(cells, Texts) else (cells.dtype.char, cells.shape[1:])


def _column(parts: Sequence[Cells]) -> pa.Array:
    """Make one column of parts of one kind."""
    texts = [part for part in parts if isinstance(part, Texts)]
    if texts:
        return Texts.below(texts).array()
    return _array(_below([part for part in parts if isinstance(part, np.ndarray)]))


def _lists(parts: Sequence[np.ndarray[Any, Any]]) -> pa.Array:
    """Make a column of lists of numbers."""
    import pyarrow as pa

    whole = _below(parts).astype(np.float64, copy=False)
    if whole.ndim == 1:
        return pa.array(list(whole), pa.list_(pa.float64()))
    size = whole[:1].size or 1
    offsets = pa.array(np.arange(len(whole) + 1, dtype=np.int32) * size)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(whole).reshape(-1)))


def _below(parts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _array(values: np.ndarray[Any, Any]) -> pa.Array:
    """Bring one column to Arrow; as text where it has several types, as only without a signature it can."""
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=values.dtype.kind == "f")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if each is None else str(each) for each in values.tolist()], pa.string())
