"""The process above MLflow's server: it ends it when whoever asked for it is gone, which the kernel tells."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from mlops_magics.foundation.processes import end_tree


def main(words: Sequence[str]) -> int:
    """Run MLflow's server until our stdin ends.

    Args:
        words: The socket that it listens on, the path below which it is asked, where files of new experiments
            go; "" for the server's own place.

    Returns:
        What it ended with.
    """
    socket, prefix, artifacts = words
    # Its uvicorn listens on the socket alone: a host and a port stand in its command and are not used.
    server = f"--uds {shlex.quote(socket)} --no-access-log --log-level warning"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--no-serve-artifacts"]
    command += ["--static-prefix", prefix, "--uvicorn-opts", server]
    command += ["--default-artifact-root", artifacts] if artifacts else []
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words, no shell
    left = threading.Event()
    follower = threading.Thread(target=_follow, args=(process.pid, Path(socket).parent, left), daemon=True)
    follower.start()
    code = process.wait()
    if left.is_set():
        follower.join()
    return code


def _follow(pid: int, folder: Path, left: threading.Event) -> None:
    sys.stdin.buffer.read()  # it ends when all who hold its other side have ended
    left.set()
    end_tree(pid)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
