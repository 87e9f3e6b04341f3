"""A cell's body, compiled and executed here, in the notebook's names.

IPython's ``run_cell`` is not used: it swallows the exception, so that "Run all", papermill and nbclient
carry on after a failure. Here what the body raises goes on, and its traceback shows only the user's
lines.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """A compiled body.

    Attributes:
        shell: The IPython shell that it belongs to.
        code: Its source as plain Python, magics transformed.
        name: The file name in tracebacks; ``linecache`` knows its lines.
        statements: All but the last expression, compiled; None when there are none.
        expression: The last expression, whose value is shown; None when there is none or a ``;`` ends it.
    """

    shell: Any
    code: str
    name: str
    statements: CodeType | None
    expression: CodeType | None

    def run(self) -> None:
        """Execute the body in the notebook's names and show its last expression; what it raises goes on."""
        with self._users_traceback():
            if self.statements is not None:
                self._executed(self.statements)
            if self.expression is not None:
                value = self._executed(self.expression)
                if value is not None:
                    from IPython.display import display

                    display(value)

    def _executed(self, code: CodeType) -> Any:  # noqa: ANN401 - the value of the user's expression
        value = eval(code, self.shell.user_ns)  # noqa: S307 - the cell's own code, which the user runs
        if code.co_flags & inspect.CO_COROUTINE:
            return _awaited(value)
        return value

    @contextlib.contextmanager
    def _users_traceback(self) -> Iterator[None]:
        """Show only the frames from the cell on; ours and IPython's help nobody."""
        try:
            yield
        except BaseException as error:
            frames = error.__traceback__
            while frames is not None and frames.tb_frame.f_code.co_filename != self.name:
                frames = frames.tb_next
            if frames is not None and not hasattr(error, "_render_traceback_"):
                shown = self.shell.InteractiveTB.structured_traceback
                _rendered_by(error, partial(shown, type(error), error, frames, tb_offset=0))
            raise


def compiled(shell: Any, body: str) -> Cell:  # noqa: ANN401 - IPython ships no types
    """Compile a cell's body as IPython would compile the cell.

    Raises:
        SyntaxError: The body is not Python; the error says where.
    """
    code = shell.transform_cell(body)
    name = shell.compile.cache(code, raw_code=body)
    tree = shell.transform_ast(shell.compile.ast_parse(code, filename=name))
    last = tree.body[-1] if tree.body else None
    silent = shell.displayhook.semicolon_at_end_of_expression(code)
    shown = last.value if isinstance(last, ast.Expr) and not silent else None
    rest = tree.body if shown is None else tree.body[:-1]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | shell.compile.flags

    def made(part: ast.AST, mode: str) -> CodeType:
        code_: CodeType = builtins.compile(part, name, mode, flags=flags, dont_inherit=True)  # type: ignore[call-overload]
        return code_

    statements = made(ast.Module(rest, tree.type_ignores), "exec") if rest else None
    expression = None if shown is None else made(ast.Expression(shown), "eval")
    return Cell(shell, code, name, statements, expression)


def _awaited(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a coroutine to its end on a loop of its own: the kernel's loop is busy with this very cell."""
    box: dict[str, Any] = {}
    context = contextvars.copy_context()

    async def noted() -> object:
        box["loop"], box["task"] = asyncio.get_running_loop(), asyncio.current_task()
        return await coroutine

    def drive() -> None:
        try:
            box["value"] = asyncio.run(noted())  # which also cancels what the cell left running
        except BaseException as error:  # noqa: BLE001 - handed over to the cell below
            box["error"] = error

    thread = threading.Thread(target=context.run, args=(drive,), name="mlops-await", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        with contextlib.suppress(KeyError, RuntimeError):  # not begun, or the loop has just closed
            box["loop"].call_soon_threadsafe(box["task"].cancel)
        thread.join(timeout=5.0)
        raise
    if "error" in box:
        raise box["error"]
    return box["value"]


def _rendered_by(error: BaseException, render: Callable[[], Sequence[str]]) -> None:
    """Let an exception say how it is shown: IPython asks it for that, and our frames stay out."""
    with contextlib.suppress(AttributeError):  # an exception with slots is shown in full
        error._render_traceback_ = lambda: list(render())  # type: ignore[attr-defined]
