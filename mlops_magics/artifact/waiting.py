"""The waiting process's own side: imports once, then a child for each order (see `prover`)."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import selectors
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import orjson

_CHUNK: Final = 1 << 16
_MODULES: Final = (
    "pandas",
    "pyarrow.parquet",
    "threadpoolctl",
    "scipy.special",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
    "skops.io",
)

Command = Callable[[list[str]], int]


def wait(command: Command, idle: float) -> int:
    """Import what models need, and fork for each line on stdin until there is none for long.

    Args:
        command: What a child does with the words of its order; it returns the exit code.
        idle: For how long, in seconds.

    Returns:
        The exit code: 0.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the caller
    for name in _MODULES:
        with contextlib.suppress(ImportError):  # the child that needs it will say so
            importlib.import_module(name)
    said = b""
    while True:
        while b"\n" not in said:
            readable, _, _ = select.select([0], [], [], idle)
            more = os.read(0, _CHUNK) if readable else b""
            if not more:
                return 0
            said += more
        line, _, said = said.partition(b"\n")
        _answer(*_child(orjson.loads(line), command))


def _child(order: dict[str, Any], command: Command) -> tuple[int, int, int]:
    """Fork; return the child, and where what it prints can be read."""
    out, its_out = os.pipe()
    err, its_err = os.pipe()
    child = os.fork()
    if not child:
        _run(order, command, its_out, its_err)
    os.close(its_out)
    os.close(its_err)
    return child, out, err


def _run(order: dict[str, Any], command: Command, out: int, err: int) -> NoReturn:
    """Do what was ordered; nothing of this process goes on after it."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        empty = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((empty, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        os.chdir(order["folder"])
        importlib.invalidate_caches()
        code = command(order["words"])
    except BaseException:  # noqa: BLE001 - as the interpreter would
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _answer(child: int, out: int, err: int) -> None:
    """Hand on what the child prints and how it ended; end with it where the caller is gone."""
    said = {out: b"", err: b""}
    with selectors.DefaultSelector() as chosen:
        for source in (out, err, 0):
            chosen.register(source, selectors.EVENT_READ)
        left = {out, err}
        while left:
            for key, _ in chosen.select():
                if key.fd == 0:
                    os.killpg(0, signal.SIGKILL)  # nobody orders while a child works: the caller has ended
                more = os.read(key.fd, _CHUNK)
                said[key.fd] += more
                if not more:
                    chosen.unregister(key.fd)
                    left.discard(key.fd)
    for source in (out, err):
        os.close(source)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    head = orjson.dumps({"code": code, "out": len(said[out]), "err": len(said[err])})
    whole = memoryview(head + b"\n" + said[out] + said[err])
    while whole:
        whole = whole[os.write(1, whole) :]
