"""Every example on every page is executed, or stands in a short list with the reason why it is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from examples import cells, is_command, left_out, pages, session
from pages import PAGES, ROOT, blocks

WALKED = {"tutorial.md", "migrate.md", "team.md"}  # sessions from top to bottom, in tests of their own
_MOST = 12  # examples that are left out


def _examples(page: Path) -> list[str]:
    return [cell for block in blocks(page) if not block.file for cell in cells(block)]


def _is_left_out(page: str, cell: str) -> bool:
    return any(name == page and cell.startswith(begin) for name, begin in left_out())


@pytest.fixture
def done(
    shell: Any, run: Callable[[Any, str], Any], store_file: Path, project: Path
) -> Iterator[Callable[[str], None]]:
    """Execute a cell or a command, in a project whose store is ready; no endpoint is left."""
    assert store_file.is_file()
    run(shell, "%config MLOps.standby = False")
    before = dict(os.environ)
    os.environ["HOME"] = str(project)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))

    def do(cell: str) -> None:
        if not is_command(cell):
            run(shell, cell)
            return
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", cell],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"

    try:
        yield do
    finally:
        vars(shell).pop("kernel", None)
        for endpoint in run(shell, "%mlops_deploy").result.endpoints:
            run(shell, f"%mlops_deploy {endpoint.name} --remove")
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*MLflow doesn't validate:UserWarning")
@pytest.mark.parametrize("name", pages())
def test_the_examples_of_a_page_run(name: str, done: Callable[[str], None], project: Path) -> None:
    needed = session(name)
    for cell in needed.before:
        _noted(done, cell, "before")
    page = ROOT / name if name == "README.md" else ROOT / "docs" / name
    for block in blocks(page):
        if "approvers =" in block.text:
            (project / "policy.toml").write_text(block.text, encoding="utf-8")
    for block in blocks(page):
        for cell in () if block.file else cells(block):
            if _is_left_out(name, cell):
                continue
            for begin, first in needed.between.items():
                for each in first if cell.startswith(begin) else ():
                    _noted(done, each, f"{block.place}, before {begin}")
            _noted(done, cell, block.place)


def _noted(done: Callable[[str], None], cell: str, place: str) -> None:
    try:
        done(cell)
    except BaseException as error:
        error.add_note(f"{place}\n{cell}")
        raise


def test_each_page_with_examples_has_a_session() -> None:
    own = {"architecture.md"}  # its gate is judged by a test of its own
    some = {page.name for page in PAGES if any(not _is_left_out(page.name, cell) for cell in _examples(page))}
    assert some - WALKED - own == set(pages())


def test_what_is_left_out_is_there_and_is_tried_elsewhere() -> None:
    found = {page.name: _examples(page) for page in PAGES}
    assert len(left_out()) <= _MOST
    for (name, begin), why in left_out().items():
        assert any(cell.startswith(begin) for cell in found[name]), (name, begin)
        for path in re.findall(r"tests/[\w/]+\.py", why):
            assert (ROOT / path).is_file(), path
    for name in pages():
        for begin in session(name).between:
            assert any(cell.startswith(begin) for cell in found[name]), (name, begin)
