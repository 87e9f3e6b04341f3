"""``python -m mlops_magics.frontends.follow [renew]``: watch an alias; or deploy what it points to, once.

A supervisor starts the first, that one starts the second. Each is told its job in the first line of its
stdin, tells what came of it in lines on its stdout, and ends when its stdin does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable

from mlops_magics.foundation.masking import masked
from mlops_magics.frontends.follow.job import Job

_GRACE = 2.0  # seconds for what is to be put away before the end


def main(words: list[str]) -> int:
    """Be one of the two processes.

    Args:
        words: The command line without the program's name.

    Returns:
        The exit code.
    """
    job = Job.read(0)
    if words == ["renew"]:
        from mlops_magics.frontends.follow.renewing import renewed

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        _at_the_end(_give_up)
        sys.stdout.write(renewed(job).to_json())
        return 0
    from mlops_magics.frontends.follow.watching import Watch

    watch = Watch(job)
    _at_the_end(watch.stop)
    try:
        watch.run()
    except Exception:  # noqa: BLE001 - the log may hold no secret, and the supervisor starts another one
        sys.stderr.write(masked(traceback.format_exc()))
    return 1


def _give_up() -> None:
    """Let the main thread put away what it holds; it may be waiting for something that does not come."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)


def _at_the_end(act: Callable[[], None]) -> None:
    """Act when stdin ends, and then end, whatever the main thread is waiting for."""

    def wait() -> None:
        os.read(0, 1)  # nothing more is ever written into it
        try:
            act()
        finally:
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
