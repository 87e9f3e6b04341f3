"""What a reviewer reads in a pull request, as Markdown in which no word of a notebook means anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mlops_magics.foundation.blocks import shown
from mlops_magics.foundation.masking import masked
from mlops_magics.steps.ci.result import Validated, Validation
from mlops_magics.tracking.since import Tracked

_ROOM: Final = 120  # characters of a name
_LINES, _CHARACTERS = 40, 4_000  # of an error
_METRICS: Final = 16  # of a run
_MARKS: Final = {"passed": "✅", "failed": "❌", "timed out": "❌", "not run": "·"}


def markdown(found: Validation) -> str:
    """Write the outcome down.

    Args:
        found: What came of all notebooks.
    """
    return "\n".join(_lines(found)) + "\n"


def code(text: str) -> str:
    """Write a text so that Markdown reads nothing into it: in backticks, on one line, also within a table."""
    line = " ".join(shown(masked(text)).split())
    line = line if len(line) <= _ROOM else line[: _ROOM - 1] + "…"
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    # A bar would end a table's cell, backticks or not, and escaping it differs between readers of Markdown.
    return f"{ticks}{pad}{line}{pad}{ticks}".replace("|", "¦")


def block(text: str) -> Iterator[str]:
    """Write a text of several lines so that it stays what it is; a long one is cut in its middle."""
    lines = shown(masked(text)).strip("\n").split("\n")
    if len(lines) > _LINES:
        lines = [*lines[: _LINES // 2], "…", *lines[-_LINES // 2 :]]
    body = "\n".join(lines)
    if len(body) > _CHARACTERS:
        body = f"{body[: _CHARACTERS // 2]}\n…\n{body[-_CHARACTERS // 2 :]}"
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", body)), default=0) + 1)
    yield from (f"{fence}text", body, fence)


def _lines(found: Validation) -> Iterator[str]:
    yield f"## {'✅' if found.holds else '❌'} Notebooks: {found.told}"
    yield ""
    if found.compared:
        yield f"Compared with commit {code(found.compared[:12])}."
        yield ""
    yield from _table(
        ("", "notebook", "outcome", "why", "cells", "tests", "seconds"),
        (_row(item) for item in found.notebooks),
    )
    for item in found.notebooks:
        for failure in item.failures:
            yield from ("", f"### {code(item.path)}: {code(failure.what)}", "", *block(failure.error))
    yield from _runs(found)
    if found.remarks:
        yield from ("", "### Noticed", "")
        yield from (f"- {code(where)}: {code(what)}" for where, what in found.remarks)


def _row(item: Validated) -> tuple[str, ...]:
    tests = f"{sum(item.tests.values())} of {len(item.tests)}" if item.tests else ""
    ran = item.outcome != "not run"
    cells = str(item.cells) if ran else ""
    because = code(item.because) if item.because else ""
    took = f"{item.seconds:.1f}" if ran else ""
    return (_MARKS[item.outcome], code(item.path), item.outcome, because, cells, tests, took)


def _runs(found: Validation) -> Iterator[str]:
    if not found.runs:
        return
    yield from ("", "### Runs", "")
    yield from _table(
        ("notebook", "run", "metrics", "gates", "versions"),
        ((code(where), code(f"{run.experiment}: {run.name}"), *_facts(run)) for where, run in found.runs),
    )


def _facts(run: Tracked) -> tuple[str, str, str]:
    metrics = [f"{code(name)} {value:.4g}" for name, value in list(run.metrics.items())[:_METRICS]]
    failed = [gate for gate in run.gates if gate.outcome == "fail"]
    verdicts = [f"❌ {code(gate.name)} {code(gate.evidence)}" for gate in failed]
    passed = sum(gate.outcome == "pass" for gate in run.gates)
    verdicts += [f"{passed} passed"] if run.gates else []
    return "; ".join(metrics), "; ".join(verdicts), "; ".join(code(name) for name in run.versions)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
