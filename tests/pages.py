"""The pages of the documentation as tests read them: blocks, words set as code, pages that are walked.

A walked page is a session: its Python blocks are cells, its shell blocks commands, and a block below a line
that ends with a file's name and a colon is that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md")))
_FENCE = re.compile(r"^(`{3,})(\w*)\s*$")
_FILE = re.compile(r"`([\w./-]+)`:\s*$")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        page: The page that it stands on.
        line: The line of its fence.
        language: What stands behind the fence.
        text: Its lines.
        heading: The heading above it.
        file: The file that the line before it names, or "".
    """

    page: Path
    line: int
    language: str
    text: str
    heading: str
    file: str

    @property
    def place(self) -> str:
        """Where to look."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Read the blocks of a page, in their order."""
    heading, before, fence, begun, held = "", "", "", 0, list[str]()
    language = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        found = _FENCE.match(line)
        if not fence and found:
            (fence, language), begun, held = found.groups(), number, []
        elif fence and line.strip() == fence:
            named = _FILE.search(before)
            text = "\n".join(held) + "\n"
            yield Block(page, begun, language, text, heading, named[1] if named else "")
            fence = before = ""
        elif fence:
            held.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif line.strip():
            before = line
    assert not fence, f"{page.name}: the block of line {begun} is not closed"


def words(page: Path) -> Iterator[str]:
    """Read what a page sets as code within its prose and tables."""
    text = re.sub(r"^(`{3,}).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from (re.sub(r"\s+", " ", found).replace("\\|", "|") for found in _CODE.findall(text))


def walk(
    page: Path,
    shell: Any,
    run: Callable[[Any, str], Any],
    folder: Path,
    *,
    wanted: Callable[[Block], bool] = bool,
    environment: Mapping[str, str] | None = None,
) -> dict[int, Any]:
    """Do what a page says, block after block.

    Args:
        page: The page.
        shell: The notebook's shell.
        run: Runs a cell in it, and raises what it raises.
        folder: The project.
        wanted: Tells which blocks are done.
        environment: What else the commands' environment holds.

    Returns:
        What each cell came to, by its line.
    """
    done = {}
    for block in filter(wanted, blocks(page)):
        try:
            if block.file:
                (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                done[block.line] = run(shell, block.text).result
            elif block.language == "shell":
                _command(block, folder, environment or {})
        except BaseException as error:
            error.add_note(f"{block.place}\n{block.text}")
            raise
    return done


def _command(block: Block, folder: Path, environment: Mapping[str, str]) -> None:
    whole = {**os.environ, **environment}
    whole["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), whole["PATH"]))
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=folder,
        env=whole,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"
