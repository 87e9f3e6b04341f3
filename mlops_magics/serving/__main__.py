"""`python -P -m mlops_magics.serving serve | standby | worker | resume`: the processes behind an endpoint.

serve      reads an order from stdin, leaves the caller's process tree and becomes its supervisor
resume     becomes the supervisor of an endpoint that is down, from the order beside the state file that it
           is given; it stays its caller's child, which is the system's service manager
standby    imports everything, then waits for an order on stdin and does the same; ends with its caller,
           whose process number may follow
worker     a worker started afresh, where forking is not safe; only a supervisor starts it
"""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        case ["resume", path]:
            return _resume(path)
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


def _resume(path: str) -> int:
    from pathlib import Path

    from mlops_magics.artifact.order import Order, State
    from mlops_magics.artifact.paths import order_path
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
    return _serve(order, warm=False, resumed=True)


def _serve(order: "Order", *, warm: bool, resumed: bool = False) -> int:
    from mlops_magics.foundation.errors import MLOpsError
    from mlops_magics.serving import posix

    os.umask(0o077)
    posix.log_to(order.log_path)
    _start_logging()
    from mlops_magics.serving.standby import imports
    from mlops_magics.serving.supervisor import Supervisor

    try:  # what workers that are started afresh import is of no use to them here
        supervisor = Supervisor(order, resumed=resumed)
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
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
