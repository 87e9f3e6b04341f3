"""Outputs that no execution has left, cells that nobody executed, cells executed in another order."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_magics.steps.ci.book import Book


def orphans(book: Book) -> Iterator[str]:
    """Say what of a saved notebook does not come of its cells, executed from the top.

    Args:
        book: The notebook, as it was saved.
    """
    cells = [cell for cell in book.cells if cell.source.strip()]
    ran = [cell for cell in cells if cell.count is not None]
    for cell in cells:
        if cell.count is None and cell.outputs:
            yield f"code cell {cell.place + 1} has outputs and was never executed"
    never = [str(cell.place + 1) for cell in cells if cell.count is None and not cell.outputs]
    if ran and never:
        yield f"never executed before it was saved: code cell {', '.join(never)}"
    if not ran and cells:
        yield "it was saved without having been executed"
    counts = [cell.count for cell in ran if cell.count is not None]
    if counts != sorted(counts):
        yield "its cells were executed in another order than they stand in"
