"""``python -m mlops_magics.frontends.follow [renew]``: watch an alias; or deploy what it points to.

A supervisor starts the first, that one starts the second. Each is told its job in the first line of its
stdin, tells what came of it in lines on its stdout, and ends when its stdin does. The first looks at once at
each further byte; the second deploys, and the byte says for whom.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback

from mlops_magics.foundation.masking import masked
from mlops_magics.frontends.follow.job import Job

_GRACE = 2.0  # seconds for what is to be put away before the end


def main(words: list[str]) -> int:
    """Be one of the two processes.

    Args:
        words: The command line without the program's name.

    Returns:
        The exit code; a supervisor starts another one whatever it is.
    """
    job = Job.read(0)
    try:
        _deploy(job) if words == ["renew"] else _watch(job)
    except Exception:  # noqa: BLE001 - the log may hold no secret
        sys.stderr.write(masked(traceback.format_exc()))
    return 1


def _watch(job: Job) -> None:
    from mlops_magics.frontends.follow.watching import Watch

    watch = Watch(job)

    def wait() -> None:
        try:
            while os.read(0, 64):
                watch.nudge()
            watch.stop()
        finally:
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    watch.run()


def _deploy(job: Job) -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def listen() -> None:
        while line := os.read(0, 1):
            asked.put(line)
        os.kill(os.getpid(), signal.SIGTERM)  # the main thread puts away what it holds, if it can
        time.sleep(_GRACE)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    from mlops_magics.frontends.follow.renewing import renewed

    while which := asked.get():
        os.write(out, renewed(job, which).to_json())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
