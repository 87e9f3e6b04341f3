"""Starting server processes: one from cold, or one that has been waiting with everything imported."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from mlops_magics.artifact.order import Order
from mlops_magics.artifact.proof import environment, get_ready

_SECONDS = 20.0  # until a process that may still be importing takes its order


def launch(*words: str) -> subprocess.Popen[bytes]:
    """Start one of our server processes, with a pipe to its stdin and nothing else of ours.

    It inherits no environment variable that may hold a secret, no descriptor, no session and no
    current folder.

    Args:
        *words: ``serve``, or ``standby`` and our process number.
    """
    return subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-P", "-m", "mlops_magics.serving", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ),
        cwd=Path(sys.executable).anchor,
        start_new_session=True,
    )


def give(process: subprocess.Popen[bytes], order: Order) -> bool:
    """Give a process that `launch` started its order, and reap it.

    A process that takes an order goes on as a child of init; what was started here ends.

    Args:
        process: The process. It may still be importing.
        order: The order.

    Returns:
        Whether it took the order.
    """
    try:
        if process.stdin:
            with process.stdin as pipe:
                pipe.write(order.to_json() + b"\n")
        return process.wait(_SECONDS) == 0
    except OSError:
        return False
    except subprocess.TimeoutExpired:
        return False
    finally:
        _end(process)


class Standby:
    """A process that waits for one deployment with everything imported.

    It is a child of the kernel, in a session of its own, and ends with the kernel, because its stdin
    does. It holds no socket and no secret. An order that it takes makes it an endpoint's supervisor,
    which is then no child of the kernel any more.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The waiting process, or None."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, unless one waits already. It returns at once.

        What a registration will ask for is made ready too: it is what usually comes next.
        """
        if self.pid is None:
            self._process = launch("standby", str(os.getpid()))
            get_ready()

    def hand_over(self, order: Order) -> bool:
        """Give the waiting process an order. No other one is started in its place.

        Args:
            order: The order.

        Returns:
            Whether it took the order; False also where no process waits.
        """
        process, self._process = self._process, None
        return process is not None and give(process, order)

    def stop(self) -> None:
        """End the waiting process, if there is one. An order that it took stands."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that has nothing to save, reap it and close its pipe."""
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
