"""Sheets: where answered requests are noted at once, as numbers in a few arrays.

Under load the small objects of a request are used again for the next ones and stay in the processor's cache.
Were they kept until the journal's thread looks at them, each request would touch fresh memory, and the event
loop would stand still while that thread puts thousands of arrays together. So what is noted of a request is
copied while it is at hand, the texts of many in one.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from mlops_magics.serving.journal.entries import BETWEEN, Answered, Calls, Refused, Texts
from mlops_magics.serving.rows import Layout, Typed

if TYPE_CHECKING:
    from mlops_magics.artifact.loading import Method
    from mlops_magics.serving.rows import Columns

_FEW: Final = 64  # rows of a first sheet: most endpoints are idle
_MOST: Final = 1024  # rows of a sheet under load; larger arrays would be of fresh memory each time
_LARGE: Final = 256  # rows of a group that is kept as it came: copying it gains nothing
_ONE: Final = array("q", (1,))


_Key: TypeAlias = tuple[str, str, str, Layout]
"""What goes on one sheet: a version, why it answered, what was asked, and how the rows came."""


class Asked(Protocol):
    """A request that was answered; what encoding its answer took is read later than the rest."""

    request_id: str
    began: float
    decode: float
    queued: float
    started: float
    encode: float

    @property
    def rows(self) -> int:
        """How many rows it has."""


@dataclass(slots=True, eq=False)  # a frozen one takes much longer to make
class Group:
    """Requests that were computed together.

    Attributes:
        asked: The requests, in the order of their rows.
        spent: Seconds that computing them took.
        columns: Their rows, one array a column.
        found: The answers.
        method: What was asked.
        version: Which version answered.
        role: Why it did: "live", "canary" or "shadow".
    """

    asked: Sequence[Asked]
    spent: float
    columns: Columns
    found: np.ndarray[Any, Any]
    method: Method
    version: str
    role: str = "live"


class Sheets:
    """The sheets that are being filled; an event loop and threads that compute fill them, another takes them.

    Args:
        leave_out: Columns whose values are not kept.

    Attributes:
        noted: How many lines were noted, ever.
    """

    def __init__(self, leave_out: Collection[str] = ()) -> None:
        self._leave_out = leave_out
        self._guard = threading.Lock()
        self._open: dict[_Key, _Sheet] = {}
        self._busy: set[_Key] = set()  # what has filled a sheet lately
        self._closed: list[_Sheet | _Alone | Refused] = []
        self.noted = 0

    def add(self, group: Group) -> None:
        """Note what was answered."""
        rows = len(group.found)
        columns = group.columns
        with self._guard:
            self.noted += rows
            if not isinstance(columns, Typed) or rows > _LARGE:
                self._closed.append(_Alone(group))
                return
            key = (group.version, group.role, group.method, columns.layout)
            sheet = self._open.get(key)
            if sheet is None or not sheet.takes(group):
                if sheet:
                    self._closed.append(sheet)
                    self._busy.add(key)
                most = _MOST if key in self._busy else max(_FEW, rows)
                sheet = self._open[key] = _Sheet(group, columns, most, self._leave_out)
            sheet.add(group, columns)

    def refuse(self, entry: Refused) -> None:
        """Note a request that got no prediction."""
        with self._guard:
            self.noted += 1
            self._closed.append(entry)

    def take(self) -> list[Answered | Refused]:
        """Take what was noted since the last time."""
        with self._guard:
            sheets, self._open = self._open, {}
            self._busy &= sheets.keys()
            closed, self._closed = self._closed, []
        taken = [*closed, *sheets.values()]
        return [each if isinstance(each, Refused) else each.done() for each in taken]


class _Sheet:
    """Rows of one layout that one version answered."""

    def __init__(self, like: Group, columns: Typed, most: int, leave_out: Collection[str]) -> None:
        self._like = like
        self._most = most
        self._order = [name for name in columns if name not in leave_out]
        self._rows = 0
        self._asked = _Asked()
        self._numbers: list[tuple[int, Sequence[str], np.ndarray[Any, Any]]] = []
        self._words: list[tuple[int, int, str, _Words]] = []
        for number, (names, _, _) in enumerate(columns.layout.blocks):
            block = columns.blocks[number]
            if block.dtype.kind == "O":
                kept = [(place, name) for place, name in enumerate(names) if name not in leave_out]
                self._words += [(number, place, name, _Words()) for place, name in kept]
            else:
                self._numbers.append((number, names, np.empty((len(names), most), block.dtype)))
        self._said = _Words() if like.found.dtype.kind in "OUS" else None
        self._found = np.empty((0 if self._said else most, *like.found.shape[1:]), like.found.dtype)

    def takes(self, group: Group) -> bool:
        """Tell whether there is room for these, and they are like the others."""
        found, kept = group.found, self._found
        return (
            self._rows + len(found) <= self._most
            and found.shape[1:] == kept.shape[1:]
            and (found.dtype == kept.dtype or (self._said is not None and found.dtype.kind in "OUS"))
        )

    def add(self, group: Group, columns: Typed) -> None:
        """Copy them."""
        first, last = self._rows, self._rows + len(group.found)
        blocks = columns.blocks
        for number, _, room in self._numbers:
            room[:, first:last] = blocks[number]
        for number, place, _, words in self._words:
            words.add(blocks[number][place])
        if self._said:
            self._said.add(group.found)
        else:
            self._found[first:last] = group.found
        self._rows = last
        self._asked.add(group.asked, group.spent, last - first)

    def done(self) -> Answered:
        """Hand over what it holds; it takes no more."""
        like, rows = self._like, self._rows
        columns: dict[str, np.ndarray[Any, Any] | Texts] = {}
        for _, names, room in self._numbers:
            columns |= zip(names, room[:, :rows], strict=True)
        columns |= {name: words.done() for _, _, name, words in self._words}
        ordered = {name: columns[name] for name in self._order}
        found = self._said.done() if self._said else self._found[:rows]
        return Answered(self._asked.done(), ordered, found, like.method, like.version, like.role)


class _Words:
    """The values of a column of texts, each group of them in one text as long as they allow it."""

    def __init__(self) -> None:
        self._joined: list[str] = []
        self._rest: dict[int, list[Any]] = {}

    def add(self, values: np.ndarray[Any, Any]) -> None:
        cells = values.tolist()
        try:
            joined = BETWEEN.join(cells)
        except TypeError:  # there are gaps, or flags
            joined = None
        if joined is None or joined.count(BETWEEN) >= len(cells):
            self._rest[len(self._joined)] = cells
            joined = ""
        self._joined.append(joined)

    def done(self) -> Texts:
        return Texts(self._joined, self._rest)


class _Asked:
    """What is known of requests besides their rows."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._rows = array("q")
        self._began, self._decode, self._queue = array("d"), array("d"), array("d")
        self._predict, self._encode = array("d"), array("d")
        self._late: Sequence[Asked] = ()

    def add(self, asked: Sequence[Asked], spent: float, rows: int) -> None:
        self._ids.append(BETWEEN.join([each.request_id for each in asked]))
        if rows == len(asked):
            self._rows.extend(_ONE * rows)
        else:
            self._rows.fromlist([each.rows for each in asked])
        self._began.fromlist([each.began for each in asked])
        self._decode.fromlist([each.decode for each in asked])
        self._queue.fromlist([each.started - each.queued for each in asked])
        self._predict.extend(array("d", (spent,)) * len(asked))
        self._encode.fromlist([each.encode for each in self._late])
        self._late = asked

    def done(self) -> Calls:
        self._encode.fromlist([each.encode for each in self._late])
        ids = Texts(self._ids, {})
        return Calls(ids, self._rows, self._began, self._decode, self._queue, self._predict, self._encode)


class _Alone:
    """A group that fits on no sheet."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._asked = _Asked()
        self._asked.add(group.asked, group.spent, len(group.found))

    def done(self) -> Answered:
        """Hand it over."""
        one = self._group
        return Answered(self._asked.done(), dict(one.columns), one.found, one.method, one.version, one.role)
