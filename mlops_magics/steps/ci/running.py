"""A notebook is validated in a process of its own, which is ended when its time is over."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from xml.etree import ElementTree as ET

from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.processes import end_tree

_NONE_COLLECTED: Final = 5  # pytest's code where a notebook has no code
_FAILED: Final = 1
_COLOURS: Final = re.compile(r"(?:\x1b|#x1B)\[[0-9;]*m")  # XML has no escape character
_COUNTED: Final = re.compile(r"^Notebook cell execution failed\nCell \d+: ")  # nbval counts from 0
_TAIL: Final = 2_000  # characters

Ended = Literal["passed", "failed", "timed out"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that failed.

    Attributes:
        what: ``code cell 3``, or the name of a behaviour test.
        error: What was said of it, masked.
    """

    what: str
    error: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of validating a notebook.

    Attributes:
        ended: How it ended.
        seconds: How long it took.
        cells: How many of its cells were executed.
        tests: Its behaviour tests by name, and whether each passed.
        failures: What failed, from the top.
    """

    ended: Ended
    seconds: float
    cells: int = 0
    tests: Mapping[str, bool] | None = None
    failures: tuple[Failure, ...] = ()


def validated(
    path: Path, *, folder: Path, environment: Mapping[str, str], timeout: float, tests: bool
) -> Outcome:
    """Validate one notebook.

    Args:
        path: The notebook.
        folder: The project's root.
        environment: The environment of the process.
        timeout: The most seconds that it may take.
        tests: Whether its behaviour tests are run by themselves, too, in a kernel of their own.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mlops-ci-") as name:
        report = Path(name, "report.xml")
        words = [
            *(sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"),
            *(f"--nbval-cell-timeout={timeout:.0f}", f"--junitxml={report}", "-p", "no:cacheprovider"),
            *(["--mlops-tests"] if tests else []),
            *("--color=no", "-q", "--", str(path)),
        ]
        code, said = _waited(words, Path(name, "words.txt"), folder, environment, timeout)
        cells, found, failures = _read(report) if report.is_file() else (0, {}, [])
    seconds = time.perf_counter() - begun
    if code is None:
        over = Failure("the notebook", f"It was not done within {timeout:g} seconds, and was ended.\n{said}")
        return Outcome("timed out", seconds, cells, found, (*failures, over))
    if code not in {0, _FAILED, _NONE_COLLECTED} or (code and not failures and code != _NONE_COLLECTED):
        failures.append(Failure("the notebook", f"pytest ended with {code}.\n{said}"))
    return Outcome("failed" if failures else "passed", seconds, cells, found, tuple(failures))


def _waited(
    words: list[str], log: Path, folder: Path, environment: Mapping[str, str], timeout: float
) -> tuple[int | None, str]:
    """Start the process and wait; return its code, None where its time was over, and its last words."""
    with log.open("wb") as said:
        child = subprocess.Popen(  # noqa: S603 - our own Python, no shell
            words, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        code: int | None
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if child.poll() is None:  # its time is over, or the user has interrupted it
                end_tree(child.pid)
                child.wait()
    return code, _clean(log.read_text(encoding="utf-8", errors="replace"))[-_TAIL:]


def _read(report: Path) -> tuple[int, dict[str, bool], list[Failure]]:
    """Read pytest's report: how many cells, the tests, and what failed."""
    cells, tests, failures = 0, dict[str, bool](), list[Failure]()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own child has written it
        name = case.get("name", "")
        told = list(_told(case))
        place = re.search(r"Cell (\d+)$", name)
        if place:
            cells += 1
        else:
            tests[name] = not told
        what = f"code cell {int(place[1]) + 1}" if place else f"test {name}"
        failures += [Failure(what, error) for error in told]
    return cells, tests, failures


def _told(case: ET.Element) -> Iterator[str]:
    for part in case:
        if part.tag in {"failure", "error"}:
            yield _COUNTED.sub("", _clean(part.text or part.get("message") or "")).strip()


def _clean(text: str) -> str:
    return masked(_COLOURS.sub("", text))
