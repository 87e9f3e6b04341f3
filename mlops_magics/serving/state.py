"""The board on which a supervisor writes what it does: its state file."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import BinaryIO, Final

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.paths import lock_path, order_path
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.foundation.locks import try_lock
from mlops_magics.foundation.machine import installation
from mlops_magics.foundation.processes import ProcessId

_log = logging.getLogger(__name__)

_PATIENCE: Final = 5.0  # seconds: whoever looks at the lock holds it for a moment


def held(order: Order) -> BinaryIO:
    """Take an endpoint's lock: it says that this process serves it, for as long as this process lives.

    Args:
        order: The endpoint.

    Returns:
        The open file that holds the lock.

    Raises:
        UnavailableError: Another process serves it, or its folder cannot lock files.
    """
    path = lock_path(order.state_path)
    private_folder(path.parent)
    deadline = time.monotonic() + _PATIENCE
    while (file := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"Another process serves {order.name}.", f"%mlops_deploy {order.name} --remove  ends it."
            )
        time.sleep(0.05)
    return file


class Board:
    """A supervisor's state file, written when something on it changes.

    Args:
        order: The order that names the file and the endpoint.
    """

    def __init__(self, order: Order) -> None:
        me = ProcessId.current()
        self._path = order.state_path
        self._written: State | None = None
        self.state = State(
            name=order.name,
            pid=me.pid,
            started=me.started,
            node=me.host,
            machine=installation(),
            birth=me.birth,
            host=order.host,
            port=order.port,
            model=order.model,
            version=order.version,
            digest=order.digest,
            workers=(),
            wanted=order.workers,
            certificate=order.certificate,
            status="starting",
            since=time.time(),
        )
        private_folder(self._path.parent)

    def keep(self, order: Order) -> None:
        """Write down the order that is served now, so that the endpoint can be started from it again.

        Args:
            order: The order; the port that the system chose is written into it.
        """
        kept = replace(order, port=self.state.port, trial_sha256="")
        try:
            write_atomic(order_path(self._path), kept.to_json(), private=True)
        except UnavailableError:
            _log.exception("The order cannot be written.")

    def post(self, **changes: object) -> None:
        """Change what the board says, and write it if it now says something else.

        A disk that is full keeps nobody from being served: the board stays behind, and catches up later.

        Args:
            **changes: New values by field of State.
        """
        status = changes.get("status", self.state.status)
        if status != self.state.status:
            changes["since"] = time.time()
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
        if self.state == self._written:
            return
        if not self._path.parent.is_dir():
            return  # deleted with all in it: there is nobody to tell
        try:
            write_atomic(self._path, self.state.to_json(), private=True)
        except UnavailableError:
            _log.exception("The state file cannot be written.")
        else:
            self._written = self.state
