"""One executed cell, and what it is known to have done."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_magics.lineage.files import Files


@dataclass(frozen=True, slots=True)
class Executed:
    """A cell as it was executed; the log of a kernel is a list of these, in order.

    Attributes:
        number: Its place in the log, from 0.
        source: What the user wrote.
        code: The same with magics transformed to Python.
        cell: The notebook's id of the cell, or None where it came from elsewhere.
        ok: Whether it ran to its end.
        seconds: How long it ran.
        reads: Names it may have read, with those that the functions it could reach read.
        rebound: Names that hold another object since; they owe nothing to earlier cells but its reads.
        touched: Names whose objects it changed, or may have changed.
        seeded: Random generators that it seeded before it drew from them.
        drawn: Random generators that it moved on.
        files: What it did outside the process.
        always: Why every slice keeps it, or "".
        history: Whether it read IPython's record of inputs and outputs.
        entropy: Whether it took randomness that no seed repeats.
        opaque: Names taken for changed because they have no digest, or none within the time allowed.
        clock: Whether it read the time.
        seen: Whether the recorder saw it run; of one from before only the source is known.
    """

    number: int
    source: str
    code: str
    cell: str | None = None
    ok: bool = True
    seconds: float = 0.0
    reads: frozenset[str] = frozenset()
    rebound: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    seeded: frozenset[str] = frozenset()
    drawn: frozenset[str] = frozenset()
    files: Files = field(default_factory=Files)
    always: str = ""
    history: bool = False
    entropy: bool = False
    opaque: frozenset[str] = frozenset()
    clock: bool = False
    seen: bool = True
