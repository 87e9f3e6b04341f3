"""Hidden state: why the notebook on the page is not the program that ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from mlops_magics.lineage.execution import Executed

_LISTED = 5


def reasons(
    kept: Sequence[Executed],
    log: Sequence[Executed],
    unseeded: Iterable[str],
    missing: Iterable[str],
    cells: Mapping[str, str] | None,
) -> tuple[str, ...]:
    """Say why running the notebook as it stands may not make the same again.

    Args:
        kept: The cells of a slice.
        log: All executed cells.
        unseeded: Random generators that the slice draws from and never seeds.
        missing: Names that it needs and that were made before the log began.
        cells: The notebook as it stands now, source by id in order; None when not known.
    """
    return (
        *_edited(kept, log, cells),
        *_unknown(kept, cells),
        *_order(kept, log, cells),
        *_random(kept, unseeded),
        *_failed(kept),
        *_missing(missing),
    )


def _edited(
    kept: Sequence[Executed], log: Sequence[Executed], cells: Mapping[str, str] | None
) -> Iterator[str]:
    last = {item.cell: item.source for item in log if item.cell is not None}
    if cells is not None:
        last = {cell: cells.get(cell, source) for cell, source in last.items() if cell is not None}
    told = set()
    for item in kept:
        if item.cell is not None and _text(last[item.cell]) != _text(item.source) and item.number not in told:
            told.add(item.number)
            yield f"Cell {_first_line(item)} was edited after it had run."


def _unknown(kept: Sequence[Executed], cells: Mapping[str, str] | None) -> Iterator[str]:
    if cells is None:
        if any(item.cell is not None for item in kept):
            for item in kept:
                if item.cell is None and item.seen:
                    yield f"{_first_line(item)} ran from outside the notebook's cells."
        return
    for item in kept:
        if item.seen and (item.cell is None or item.cell not in cells):
            yield f"Cell {_first_line(item)} is no longer in the notebook."


def _order(
    kept: Sequence[Executed], log: Sequence[Executed], cells: Mapping[str, str] | None
) -> Iterator[str]:
    # Without the page, cells stand in the order in which each ran first.
    page = list(cells) if cells is not None else list(dict.fromkeys(item.cell for item in log))
    places = {cell: place for place, cell in enumerate(page)}
    known = [item for item in kept if item.cell is not None and item.cell in places]
    for first, second in pairwise(known):
        if places[first.cell] == places[second.cell]:
            yield f"Cell {_first_line(first)} ran more than once, and each time counts."
        elif places[first.cell] > places[second.cell]:
            late, below = _first_line(second), _first_line(first)
            yield f"Cells ran out of order: {late} ran after {below}, which stands below it."
    ran = [item.cell for item in known]
    again = {cell for cell in ran if ran.count(cell) > 1}
    adjacent = {first.cell for first, second in pairwise(known) if first.cell == second.cell}
    for cell in sorted(str(name) for name in again - adjacent):
        item = next(item for item in known if str(item.cell) == cell)
        yield f"Cell {_first_line(item)} ran more than once, and each time counts."


def _random(kept: Sequence[Executed], unseeded: Iterable[str]) -> Iterator[str]:
    names = sorted(unseeded)
    if names:
        yield f"Random numbers were drawn from a generator that was never seeded ({', '.join(names)})."
    for item in kept:
        if item.entropy:
            yield f"Cell {_first_line(item)} takes randomness that no seed repeats."


def _failed(kept: Sequence[Executed]) -> Iterator[str]:
    for item in kept:
        if not item.ok:
            yield f"Cell {_first_line(item)} failed half way, and what it had done until then counts."


def _missing(missing: Iterable[str]) -> Iterator[str]:
    names = sorted(missing)
    if names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        yield f"Made before recording began: {', '.join(names[:_LISTED])}{more}."


def _text(source: str) -> str:
    return source.strip()


def _first_line(item: Executed) -> str:
    lines = [line for line in item.source.strip().splitlines() if line.strip()]
    first = lines[0].strip() if lines else ""
    return f"{item.number + 1} ({first[:40]}{'…' if len(first) > 40 or len(lines) > 1 else ''})"  # noqa: PLR2004
