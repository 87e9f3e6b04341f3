"""A real kernel, asked from a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager, start_new_kernel


def told(reply: dict[str, Any]) -> str:
    """Say how a cell ended, and why."""
    return " ".join(str(reply[key]) for key in ("status", "ename", "evalue") if key in reply)


class Kernel:
    """A real kernel, asked one cell at a time."""

    def __init__(self, folder: Path) -> None:
        self.manager: KernelManager
        self.manager, self.client = start_new_kernel(cwd=str(folder), startup_timeout=60)
        self.run("%load_ext mlops_magics\n%config MLOps.standby = False")

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def run(self, code: str) -> dict[str, Any]:
        reply = self.client.execute_interactive(code, timeout=120, output_hook=lambda _: None)
        return dict(reply["content"])

    def reply(self, request: str) -> dict[str, Any]:
        """Wait for the answer to a request that was sent without waiting."""
        while True:
            message = self.client.get_shell_msg(timeout=120)
            if message["parent_header"]["msg_id"] == request:
                return dict(message["content"])

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)  # of a killed kernel too: it closes the sockets
