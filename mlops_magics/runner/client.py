"""nbclient, with bounds on what a cell may print and a way to stop a cell that does not end."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty
from typing import Any, Final

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbclient.util import ensure_async, run_sync

from mlops_magics.runner.tied import tied

MOST_OUTPUT: Final = 10_000_000  # characters that a cell's outputs may have
_SOCKET: Final = 100  # characters of a socket's path: systems take 104 to 108
_TOLD: Final = "\n[Output beyond {most:,} characters was cut.]\n"


class _Kernels(AsyncKernelManager):
    """Starts kernels that do not outlive this process, whatever they are in the middle of."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return tied(super().format_kernel_cmd(extra_arguments))


class Client(NotebookClient):
    """Executes the cells of one notebook, one at a time.

    Args:
        node: The notebook, as JSON types; outputs go into the node that is made of it.
        kernel: The kernel's name.
        seconds: Says how many seconds a cell may take from now on.
    """

    def __init__(self, node: Mapping[str, Any], kernel: str, seconds: Callable[[], float]) -> None:
        made = nbformat.from_dict(dict(node))  # type: ignore[no-untyped-call]
        super().__init__(
            made,
            kernel_name=kernel,
            kernel_manager_class=_Kernels,
            timeout_func=lambda _: max(seconds(), 0.05),
            coalesce_streams=False,
        )
        self._room: dict[int, int] = {}

    def reach(self, place: Path) -> None:
        """Let the kernel be reached by sockets in a private folder, where the system has such.

        TCP would let every user of this machine try; with ipykernel it also warns of that.

        Args:
            place: The folder.
        """
        manager: Any = self.create_kernel_manager()
        manager.connection_file = str(place / "kernel.json")
        stem = str(place / "k")
        if sys.platform != "win32" and len(os.fsencode(stem)) < _SOCKET:
            manager.transport, manager.ip = "ipc", stem

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:  # noqa: ANN401 - as nbclient has it
        """Keep an output while the cell has room for it."""
        before = self._room.get(cell_index, MOST_OUTPUT)
        if before < 0:
            return None
        self._room[cell_index] = room = before - _size(msg["content"])
        if room < 0 and msg["msg_type"] == "stream":
            msg["content"]["text"] = msg["content"]["text"][:before]
        if room >= 0 or msg["msg_type"] == "stream":
            super().output(outs, msg, display_id, cell_index)
        if room >= 0:
            return None
        note = _TOLD.format(most=MOST_OUTPUT)
        outs.append(nbformat.v4.new_output("stream", name="stderr", text=note))  # type: ignore[no-untyped-call]
        return None

    def redrawn(self) -> set[int]:
        """Name the cells whose outputs a later cell may have changed: those with displays that have names."""
        return {place for where in self._display_id_map.values() for place in where}

    def stop(self, place: int, seconds: float) -> bool:
        """Interrupt the cell that runs, and take what it still prints: its ``finally`` blocks run.

        Args:
            place: Which cell it is.
            seconds: How long to wait for it.

        Returns:
            Whether it ended.
        """
        return bool(run_sync(self._stop)(place, seconds))

    async def _stop(self, place: int, seconds: float) -> bool:
        if self.km is None or self.kc is None:
            return True
        await ensure_async(self.km.interrupt_kernel())
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                msg: Any = await ensure_async(self.kc.iopub_channel.get_msg(timeout=left))
                if msg["parent_header"].get("msg_type") == "execute_request":
                    self.process_message(msg, self.nb.cells[place], place)
            except Empty:
                break
            except CellExecutionComplete:
                return True
        return False

    def asked(self, expression: str, seconds: float) -> str:
        """Let the kernel evaluate an expression of ours that is a text, without a trace in the notebook.

        Args:
            expression: The expression.
            seconds: How long to wait.

        Returns:
            The text; "" where it cannot be evaluated.
        """
        return str(run_sync(self._asked)(expression, seconds))

    async def _asked(self, expression: str, seconds: float) -> str:
        if self.kc is None:
            return ""
        asked = await ensure_async(
            self.kc.execute("", silent=True, store_history=False, user_expressions={"it": expression})
        )
        try:
            reply: Any = await asyncio.wait_for(self.async_wait_for_reply(str(asked)), seconds)
            return str(ast.literal_eval(reply["content"]["user_expressions"]["it"]["data"]["text/plain"]))
        except (TimeoutError, KeyError, TypeError, ValueError, SyntaxError):
            return ""

    def ended(self) -> str:
        """Say how the kernel's process ended, or "" where it runs or nothing is known."""
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        code = None if process is None else process.poll()
        if code is None:
            return ""
        if code < 0:
            return f"signal {-code}" + (", as when memory runs out" if code == -9 else "")  # noqa: PLR2004 - SIGKILL
        return f"exit code {code}"


def _size(value: object) -> int:
    """Count the characters of what a message holds."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_size(item) for item in value.values())
    return sum(map(_size, value)) if isinstance(value, list) else 1
