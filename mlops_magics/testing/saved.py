"""Notebooks as they were saved: a test of pytest's that asks whether their outputs came of their cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Orphaned(Exception):  # noqa: N818 - a finding
    """Something of a notebook does not come of its cells, executed from the top."""


class Saved(pytest.File):
    """A notebook that is only read."""

    def collect(self) -> Iterator[SavedItem]:
        """Make the one test."""
        yield SavedItem.from_parent(self, name="orphans")


class SavedItem(pytest.Item):
    """Whether a notebook was executed as it stands, before it was saved."""

    def runtest(self) -> None:
        """Read it.

        Raises:
            Orphaned: It was not.
        """
        found = noticed(self.path)
        if found:
            raise Orphaned("\n".join(found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401 - as pytest has it
        """Show what was found, and no traceback."""
        if isinstance(excinfo.value, Orphaned):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where the notebook is."""
        return self.path, None, f"{self.path.name}: orphans"


def noticed(path: Path) -> list[str]:
    """Say what of a saved notebook does not come of its cells.

    Args:
        path: The notebook.
    """
    from mlops_magics.steps.ci.book import parse
    from mlops_magics.steps.ci.orphans import orphans

    try:
        return list(orphans(parse(path.read_bytes())))
    except (OSError, ValueError) as error:
        return [f"it cannot be read: {error}"]
