"""Behaviour tests in notebooks: each ``%%mlops_test`` cell is a test of pytest's.

A notebook is executed in a kernel of its own, in its own folder, from the top: the cells above a test, then
the test. A cell is executed once, and tests that were not chosen are left out.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

_MAGIC: Final = "%%mlops_test"
_VALUED: Final = frozenset({"--model", "-o"})  # options that are followed by a value
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class AboveError(Exception):
    """A cell above a test failed, so the test could not be run."""


class Notebook(pytest.File):
    """A notebook, and the kernel that it is executed in while its tests run."""

    def __init__(self, **words: Any) -> None:  # noqa: ANN401 - as pytest makes its nodes
        super().__init__(**words)
        self._stack = ExitStack()
        self._client: Any = None
        self._done = 0  # cells above this one were executed, or are tests
        self._broken = ""

    def collect(self) -> Iterator[TestCell]:
        """Find the tests.

        Raises:
            CollectError: The file is no notebook, or two tests have one name.
        """
        seen: set[str] = set()
        for place, source in enumerate(self._sources()):
            title = _title(source, place)
            if title is None:
                continue
            if title in seen:
                raise self.CollectError(f"{self.path.name}: two tests are called '{title}'. Rename one.")
            seen.add(title)
            yield TestCell.from_parent(self, name=title, place=place)

    def setup(self) -> None:
        """Start the kernel."""
        import nbformat
        from nbclient import NotebookClient

        text = self.path.read_text(encoding="utf-8")
        book = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        self._client = NotebookClient(
            book, timeout=None, resources={"metadata": {"path": str(self.path.parent)}}, allow_errors=False
        )
        environment = os.environ | {"MLOPS_NOTEBOOK": str(self.path)}
        if model := self.config.getoption("mlops_model"):
            environment["MLOPS_TESTED"] = model
        self._stack.enter_context(self._client.setup_kernel(env=environment))

    def teardown(self) -> None:
        """End the kernel."""
        self._stack.close()
        self._client, self._done, self._broken = None, 0, ""

    def above(self, place: int) -> None:
        """Execute the cells above a test that were not executed yet.

        Raises:
            AboveError: One of them fails, or failed before.
        """
        for each in range(self._done, place):
            if self._broken:
                break
            source = "".join(self._client.nb.cells[each].source)
            if self._client.nb.cells[each].cell_type != "code" or _title(source, each) is not None:
                continue
            try:
                self.execute(each)
            except Exception as error:  # noqa: BLE001 - each test below says why it was not run
                self._broken = f"cell {each + 1} of {self.path.name} fails: {_last(error)}"
        self._done = max(self._done, place)
        if self._broken:
            raise AboveError(self._broken)

    def execute(self, place: int) -> None:
        """Execute one cell; what it raises goes on."""
        self._client.execute_cell(self._client.nb.cells[place], place)

    def _sources(self) -> list[str]:
        try:
            cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
            return [
                "".join(cell.get("source", "")) if cell.get("cell_type") == "code" else "" for cell in cells
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.CollectError(f"{self.path.name} is no notebook: {error}.") from error


class TestCell(pytest.Item):
    """One ``%%mlops_test`` cell."""

    __test__ = False  # pytest would take it for a class of tests

    parent: Notebook

    def __init__(self, *, place: int, **words: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(**words)
        self._place = place

    def runtest(self) -> None:
        """Execute the cells above, then the test."""
        self.parent.above(self._place)
        cell = self.parent._client.nb.cells[self._place]  # noqa: SLF001 - a part of the notebook
        cell.metadata.pop("tags", None)  # "raises-exception" would let a test fail in silence
        self.parent.execute(self._place)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401 - as pytest has it
        """Show the cell's own traceback, or why it could not be run."""
        error = excinfo.value
        if isinstance(error, AboveError):
            return str(error)
        if hasattr(error, "ename"):
            return _COLOURS.sub("", str(error))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where the test is."""
        return self.path, None, f"{self.path.name}: {self.name}"


def _title(source: str, place: int) -> str | None:
    """Return the name of a test; None where the cell is none, or only asks for help."""
    first = source.lstrip().partition("\n")[0]
    if first.split()[:1] != [_MAGIC]:
        return None
    try:
        words = shlex.split(first)[1:]
    except ValueError:  # the magic itself says what is wrong with its line
        return f"cell {place + 1}"
    if {"--help", "-h"} & set(words):
        return None
    before = ""
    for word in words:
        if before not in _VALUED and not word.startswith("-"):
            return word
        before = word
    return f"cell {place + 1}"


def _last(error: Exception) -> str:
    name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    return f"{name}: {_COLOURS.sub('', str(value))}"
