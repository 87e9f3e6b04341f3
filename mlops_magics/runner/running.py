"""A notebook is executed by a process of its own, which ends with all that it started when this one does."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlops_magics.foundation.errors import (
    MissingExtraError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
    nearest,
)
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.secrecy import secrets_held
from mlops_magics.runner.book import Book, read
from mlops_magics.runner.job import Executed, Failure, Job
from mlops_magics.runner.keeping import Keeper, covered, is_kept, noted
from mlops_magics.runner.order import WORDS, Order, Told
from mlops_magics.runner.parameters import injected
from mlops_magics.runner.processes import end
from mlops_magics.runner.surroundings import MARK, surroundings

_GRACE: Final = 10.0  # seconds that a cell gets to end when its time is over
_SLACK: Final = 60.0  # seconds after which the process that watches over the time is itself ended
_ENDING: Final = 20.0  # seconds that it gets to keep the notebook and end what it started
_TAIL: Final = 400


def run(job: Job) -> Executed:
    """Execute a notebook from top to bottom, in a fresh kernel that nobody else can reach.

    The first cell that fails ends it, unless the cell is tagged ``raises-exception``. The executed notebook
    is written after each cell, whole and without secrets. When it ends, in whatever way, everything that it
    started is gone; endpoints that it deployed are not its own, and live on.

    Args:
        job: What to execute.

    Returns:
        How it ended: a notebook that fails is no error here.

    Raises:
        UsageError: The notebook is none, or its parameters do not fit it.
        NotFoundError: There is no such notebook, or no such kernel.
        RefusedError: The executed notebook would take the place of another file.
        UnavailableError: The executed notebook cannot be written.
        MissingExtraError: What executes notebooks is not installed.
    """
    book = read(job.notebook)
    check(job)
    order, environment = ordered(job, book)
    # A folder that cannot be written to is known before anything is started.
    Keeper(job.into, order.secrets, order.about).keep(order.node, "running")
    begun = time.monotonic()
    told = _supervised(order, environment)
    return Executed(
        status=told.status,
        failure=told.failure,
        seconds=time.monotonic() - begun,
        notebook=job.into,
        sha256=book.sha256,
        parameters=covered(job.parameters),
        touched=told.touched,
    )


def check(job: Job) -> None:
    """Refuse a job that nobody can execute, or whose executed notebook would take another file's place.

    Raises:
        UsageError: A time-out or a name cannot be.
        NotFoundError: The folder is not there.
        RefusedError: The executed notebook would take the place of another file.
        MissingExtraError: What executes notebooks is not installed.
    """
    bounds = [job.timeout, *([] if job.cell_timeout is None else [job.cell_timeout])]
    if not all(math.isfinite(bound) and bound > 0 for bound in bounds):
        raise UsageError("A time-out is not above zero.", "Say how many seconds the notebook may take.")
    if importlib.util.find_spec("nbclient") is None:
        raise MissingExtraError("nbclient", "retrain")
    if job.into.suffix != ".ipynb":
        raise UsageError(f"{job.into.name} is no name of a notebook.", "Let it end with .ipynb.")
    if job.folder is not None and not job.folder.is_dir():
        raise NotFoundError(f"There is no folder {job.folder}.", "Name one that is there.")
    if not job.into.exists():
        return
    if isinstance(job.notebook, Path) and job.into.samefile(job.notebook):
        raise RefusedError(
            f"The executed notebook would take the place of {job.notebook.name} itself.", "Name another file."
        )
    if not is_kept(job.into):
        raise RefusedError(f"{job.into} was not written by a run.", "Name another file, or move it away.")


def ordered(job: Job, book: Book) -> tuple[Order, dict[str, str]]:
    """Turn a job into an order, and the environment of the process that carries it out.

    Raises:
        UsageError: The parameters do not fit the notebook.
        NotFoundError: There is no such kernel.
    """
    source = job.notebook if isinstance(job.notebook, Path) else None
    kernel = job.kernel or book.kernel
    _check_kernel(kernel)
    place = str((source or job.into).resolve())
    given = {**job.variables, "MLOPS_NOTEBOOK": place, MARK: secrets.token_hex(16)}
    environment = surroundings(os.environ, job.environment, given)
    about = {
        "sha256": book.sha256,
        "parameters": covered(job.parameters),
        **({} if source is None else {"source": source.name}),
    }
    order = Order(
        node=injected(book, job.parameters),
        into=str(job.into.absolute()),
        folder=str((job.folder or (source or job.into).parent).resolve()),
        kernel=kernel,
        timeout=job.timeout,
        cell_timeout=job.cell_timeout,
        memory=job.memory,
        secrets=secrets_held({**environment, **job.parameters}),
        about=about,
        grace=_GRACE,
    )
    return order, environment


def _check_kernel(name: str) -> None:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    specs = KernelSpecManager()
    try:
        specs.get_kernel_spec(name)
    except NoSuchKernel:
        raise NotFoundError(
            f"There is no kernel named {name!r} here.",
            nearest(name, specs.find_kernel_specs())
            or "Install one with: pip install 'mlops-magics[retrain]'",
        ) from None


def _supervised(order: Order, environment: Mapping[str, str]) -> Told:
    with tempfile.TemporaryDirectory(prefix="mlops-run-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        with (place / WORDS).open("wb") as words:
            child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-P", "-m", "mlops_magics.runner", name],
                cwd=order.folder,
                env=dict(environment),
                stdin=subprocess.PIPE,  # it ends when this end is closed, however that comes about
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,  # Ctrl-C is for this process, which then ends that one in order
            )
        try:
            with contextlib.suppress(BrokenPipeError):  # how it ended is told below
                _give(child, order)
            child.wait(order.timeout + order.grace + _SLACK)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(child, environment[MARK])
        return Told.read(place) or _killed(child, order, place)


def _give(child: subprocess.Popen[bytes], order: Order) -> None:
    if child.stdin is not None:
        child.stdin.write(order.to_line())
        child.stdin.flush()


def _end(child: subprocess.Popen[bytes], mark: str) -> None:
    """Let the process end in order, or end it; then see to it that none of its own is left."""
    running = child.poll() is None
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.close()
    if running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_ENDING)
        child.kill()
        child.wait()
    if running or child.returncode:  # else it has seen to that itself
        end(mark)


def _killed(child: subprocess.Popen[bytes], order: Order, place: Path) -> Told:
    """Say of a process that could not, how it ended; on the notebook too."""
    with contextlib.suppress(OSError):
        said = (place / WORDS).read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]
    last = said.splitlines()[-1] if said else ""
    code = child.returncode
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    failure = Failure("Killed", masked(f"Its process ended with {how}. {last}".strip()))
    with contextlib.suppress(UnavailableError):
        noted(Path(order.into), "killed", failure)
    return Told("killed", failure)
