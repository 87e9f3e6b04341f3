"""A review as one HTML page, for those who were not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlops_magics.checks.show import GATES
from mlops_magics.foundation.blocks import Block
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.html import page
from mlops_magics.steps.promote.desk import Desk
from mlops_magics.steps.promote.result import Review


def written(desk: Desk, version: str | None, path: Path) -> Review:
    """Write a review and all it rests on into one HTML file, whole or not at all.

    Args:
        desk: The desk.
        version: The version; the candidate by default.
        path: The file; one that is there is replaced.

    Returns:
        The review.

    Raises:
        UsageError: The file cannot be written.
    """
    review = desk.review(version)

    def parts() -> Iterator[Block]:
        yield from review.blocks()
        told = desk.beside(review.selected).parts()
        yield from (block for gate, block in told if gate != GATES)  # the review has told of them

    text = page(f"Promote {review.model}/{review.selected} to {review.to}", parts())
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(
            f"The page cannot be written to {path}: {error.strerror}.", "Choose another place."
        ) from error
    return review
