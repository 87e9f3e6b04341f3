"""`python -P -m mlops_magics.serving serve | standby | worker | resume`: the processes behind an endpoint.

serve      reads an order from stdin, leaves the caller's process tree and becomes its supervisor
resume     becomes the supervisor of an endpoint that is down, from the order beside the state file that it
           is given; it stays its caller's child, which is the system's service manager. What that gives along
           and may be secret goes through a pipe to itself, started anew, so that no worker inherits it
standby    imports everything, then waits for an order on stdin and does the same; ends with its caller,
           whose process number may follow
worker     a worker started afresh, where forking is not safe; only a supervisor starts it
"""

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_magics.artifact.order import Order

# One thread a worker: a team of threads that spins on single rows costs more than it gains, and a
# process with one thread can be forked. Libraries read these when they are imported.
for _name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"
os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # pyarrow's allocator starts one otherwise


def main(words: list[str]) -> int:
    """Be one of these processes.

    Args:
        words: The command line without the program's name.

    Returns:
        The exit code.
    """
    match words:
        case ["serve"]:
            return _supervise(sys.stdin.buffer.readline(), warm=False)
        case ["standby", *kernel]:
            from mlops_magics.serving.standby import wait_for_order

            line = wait_for_order(int(kernel[0]) if kernel else os.getppid())
            return 0 if line is None else _supervise(line, warm=True)
        case ["resume", path, *numbers]:
            return _resume(path, *map(int, numbers))
        case ["worker", *numbers]:
            return _work(*map(int, numbers))
    sys.stderr.write("usage: python -m mlops_magics.serving serve | standby [kernel] | resume STATE\n")
    return 2


def _supervise(line: bytes, *, warm: bool) -> int:
    from mlops_magics.artifact.order import Order
    from mlops_magics.foundation.errors import MLOpsError
    from mlops_magics.serving import posix

    try:
        order = Order.from_json(line)
    except MLOpsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    posix.detach()
    return _serve(order, warm=warm)


def _resume(path: str, brought: int = -1) -> int:
    from pathlib import Path

    import orjson

    from mlops_magics.artifact.order import Order
    from mlops_magics.artifact.paths import order_path
    from mlops_magics.artifact.state import State
    from mlops_magics.foundation.errors import MLOpsError

    try:
        order = Order.from_json(order_path(Path(path)).read_bytes())
        state = State.read(Path(path))
    except (OSError, MLOpsError) as error:
        sys.stderr.write(f"There is no endpoint to be started again: {error}\n")
        return 2
    if state and state.process.alive() is not False:
        sys.stderr.write(f"{order.name} runs already, on {state.node}.\n")
        return 2
    if brought < 0:
        _cleaned(order, path)
    with os.fdopen(brought, "rb") as pipe:
        return _serve(order, warm=False, brought=orjson.loads(pipe.read()))


def _cleaned(order: "Order", path: str) -> NoReturn:
    """Start this very process anew, with what may be secret in a pipe and not in its environment."""
    import orjson

    from mlops_magics.artifact.proof import environment
    from mlops_magics.serving.follower import withheld

    given = orjson.dumps(withheld(order, os.environ))
    end, rope = os.pipe()
    os.set_blocking(rope, False)
    if os.write(rope, given) < len(given):
        sys.stderr.write("The variables for the store are longer than a pipe holds.\n")
        sys.exit(2)
    os.close(rope)
    os.set_inheritable(end, True)  # noqa: FBT003 - same
    line = [sys.executable, "-P", "-m", "mlops_magics.serving", "resume", path, str(end)]
    os.execve(sys.executable, line, environment(os.environ))  # noqa: S606 - our own module, no shell


def _serve(order: "Order", *, warm: bool, brought: "Mapping[str, str] | None" = None) -> int:
    from mlops_magics.foundation.errors import MLOpsError
    from mlops_magics.serving import posix

    os.umask(0o077)
    posix.log_to(order.log_path)
    _start_logging()
    from mlops_magics.serving.standby import imports
    from mlops_magics.serving.supervisor import Supervisor

    try:  # what workers that are started afresh import is of no use to them here
        supervisor = Supervisor(order, brought=brought)
        brought = None  # what may be secret in it is the supervisor's, and no worker's
        return supervisor.run(imports() if posix.can_fork() and not warm else ())
    except MLOpsError as error:
        sys.stderr.write(f"{error}\n")
        return 3


def _work(public: int, private: int, control: int, report: int) -> int:
    import socket

    from mlops_magics.artifact.order import Order
    from mlops_magics.serving.worker import Wires, run

    for number in (public, private, control, report):
        if number >= 0:
            os.set_inheritable(number, False)  # noqa: FBT003 - positional only
    _start_logging()
    line = b""
    while not line.endswith(b"\n") and (more := os.read(control, 1)):  # what follows is for the worker's ear
        line += more
    wires = Wires(
        public=socket.socket(fileno=public),
        private=socket.socket(fileno=private) if private >= 0 else None,
        control=control,
        report=report,
        parent=os.getppid(),
    )
    return run(Order.from_json(line), wires)


def _start_logging() -> None:
    import logging

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
