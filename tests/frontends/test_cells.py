"""A cell's body is executed as IPython would, and fails loudly with only the user's lines."""

import asyncio
import linecache
import re
import threading
import time
from typing import Any

import pytest

from mlops_magics.frontends.magics.cells import compiled

TRACK = "def inner():\n    return 1 / 0\n\ninner()"


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    import IPython.display

    seen: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", seen.append)
    return seen


def _rendered(error: BaseException) -> str:
    lines = error._render_traceback_()  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def _raised(shell: Any, body: str) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the caller looks at it
        compiled(shell, body).run()
    return caught.value


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("x = 1\nx + 1", [2]),
        ("x = 1", []),
        ("1 + 1;", []),
        ("1 + 1;  # why", []),
        ("1 + 1  # why;", [2]),
        ("'a;'", ["a;"]),
        ("None", []),
        ("1\n2", [2]),
        ("", []),
        ("# only words", []),
        ("import asyncio\nawait asyncio.sleep(0, 'slept')", ["slept"]),
    ],
)
def test_the_last_expression_is_shown_once(
    shell: Any, displayed: list[Any], body: str, shown: list[Any]
) -> None:
    compiled(shell, body).run()
    assert displayed == shown


def test_names_are_bound_in_the_notebook_and_magics_work_inside(shell: Any) -> None:
    cell = compiled(shell, "y = x + 1\nkept = %pwd\nout = !echo hi")
    shell.user_ns["x"] = 1
    cell.run()
    assert shell.user_ns["y"] == 2
    assert shell.user_ns["kept"]
    assert list(shell.user_ns["out"]) == ["hi"]
    assert "run_line_magic" in cell.code


@pytest.mark.parametrize(
    ("body", "error", "lines"),
    [
        (TRACK, ZeroDivisionError, ["inner()", "return 1 / 0"]),
        ("x = 1\nraise KeyboardInterrupt", KeyboardInterrupt, ["raise KeyboardInterrupt"]),
        ("x = 1\nraise SystemExit(3)", SystemExit, ["raise SystemExit(3)"]),
        (
            "async def f():\n    raise ValueError('late')\n\nawait f()",
            ValueError,
            ["await f()", "raise ValueError"],
        ),
        (
            "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('v') from e",
            ValueError,
            ["{}['a']", "direct cause"],
        ),
    ],
)
def test_a_traceback_shows_only_the_users_lines(
    shell: Any, body: str, error: type[BaseException], lines: list[str]
) -> None:
    found = _raised(shell, body)
    assert type(found) is error
    text = _rendered(found)
    for line in lines:
        assert line in text
    for foreign in ("mlops_magics", "cells.py", "asyncio/", "threading.py", "_executed"):
        assert foreign not in text


def test_an_error_shows_so_in_the_notebook_too(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shell.user_ns["cell"] = compiled(shell, TRACK)
    shell.run_cell("cell.run()")
    told = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "return 1 / 0" in told
    assert "ZeroDivisionError: division by zero" in told
    assert "cells.py" not in told


def test_tracebacks_know_the_source(shell: Any) -> None:
    cell = compiled(shell, "a = 1\nb = 2")
    assert linecache.getline(cell.name, 2) == "b = 2\n"


def test_a_syntax_error_says_where(shell: Any) -> None:
    with pytest.raises(SyntaxError) as caught:
        compiled(shell, "x = 1\ny = = 2")
    assert (caught.value.lineno, caught.value.offset) == (2, 5)
    with pytest.raises(SyntaxError):
        compiled(shell, "return 1")


@pytest.mark.alone
def test_coroutines_run_at_once(shell: Any, displayed: list[Any]) -> None:
    begun = time.monotonic()
    compiled(shell, "import asyncio\nawait asyncio.gather(*(asyncio.sleep(0.2, i) for i in range(5)))").run()
    assert displayed == [[0, 1, 2, 3, 4]]
    assert time.monotonic() - begun < 0.8


def test_a_cell_works_while_the_kernels_loop_runs(shell: Any, displayed: list[Any]) -> None:
    async def kernel() -> None:
        compiled(shell, "import asyncio\nawait asyncio.sleep(0, 1)").run()

    asyncio.run(kernel())
    assert displayed == [1]


def test_what_a_cell_leaves_running_is_cancelled_and_no_thread_stays(shell: Any) -> None:
    before = threading.active_count()
    body = """
import asyncio
ended = []
async def long():
    try:
        await asyncio.sleep(60)
    finally:
        ended.append(True)
task = asyncio.create_task(long())
await asyncio.to_thread(int)
await asyncio.sleep(0)
"""
    for _ in range(5):
        compiled(shell, body).run()
    assert shell.user_ns["ended"] == [True]
    assert threading.active_count() == before


def test_context_variables_reach_the_coroutine(shell: Any, displayed: list[Any]) -> None:
    compiled(shell, "import contextvars\nv = contextvars.ContextVar('v')\nv.set(3);").run()
    compiled(shell, "async def get():\n    return v.get()\n\nawait get()").run()
    assert displayed == [3]
