"""A notebook executed in a task of a Ray cluster; what was executed comes back to this machine."""

from __future__ import annotations

import fnmatch
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.cluster import joined
from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.masking import masked
from mlops_magics.runner.book import read
from mlops_magics.runner.job import Executed, Failure, Job
from mlops_magics.runner.keeping import Keeper, covered, noted
from mlops_magics.runner.running import check, ordered, run

_ROOM: Final = 900.0  # seconds that a cluster may take to find a core
_SHOWN: Final = 300


def run_on_ray(job: Job, *, cluster: str | None = None) -> Executed:
    """Execute a notebook on a Ray cluster, as :func:`run` does here.

    The folder that it runs in must be there under the same path on the cluster's machines, and so must this
    package. Variables that the job names go along, as memory of the cluster. When this process ends, Ray ends
    the task, and the task ends with all that the notebook started.

    Args:
        job: What to execute.
        cluster: The cluster's address; by default what the process is connected to, ``RAY_ADDRESS``, or one
            that is started here.

    Returns:
        How it ended. Where the machine that it ran on was lost, the executed notebook is the one before its
        first cell.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: There is no cluster, or it had no core for it.
        MLOpsError: What :func:`run` raises.
    """
    book = read(job.notebook)
    check(job)
    order, _ = ordered(job, book)
    Keeper(job.into, order.secrets, order.about).keep(order.node, "running")
    there = replace(
        job,
        notebook=book.node,
        folder=Path(order.folder),
        environment=(),
        kernel=order.kernel,
        variables=_taken(job),
    )
    with joined(cluster) as ray:
        found = _carried(ray, there)
    if isinstance(found, Failure):
        noted(job.into, "killed", found)
        seconds, parameters = 0.0, covered(job.parameters)
        return Executed(
            status="killed", failure=found, seconds=seconds, notebook=job.into, sha256=book.sha256,
            parameters=parameters,
        )  # fmt: skip
    done, content = found
    write_atomic(job.into, content, private=True)
    noted(job.into, done.status, done.failure, order.about)  # there it had no name
    return replace(done, notebook=job.into, sha256=book.sha256)


def _carried(ray: Any, job: Job) -> tuple[Executed, bytes] | Failure:  # noqa: ANN401 - Ray is optional
    task = ray.remote(num_cpus=1, max_retries=0)(_there).remote(job)
    try:
        found: tuple[Executed, bytes] = ray.get(task, timeout=job.timeout + _ROOM)
    except ray.exceptions.GetTimeoutError as error:
        ray.cancel(task, force=True)
        raise UnavailableError(
            f"The cluster had no core for the notebook within {_ROOM:g} seconds.", "Leave --engine ray out."
        ) from error
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        words = masked(str(error).strip().partition("\n")[0])[:_SHOWN]
        return Failure("Killed", f"The task of the cluster was lost: {words}")
    except BaseException:
        ray.cancel(task, force=True)
        raise
    return found


def _there(job: Job) -> tuple[Executed, bytes]:
    """Execute it on a machine of the cluster, and hand the executed notebook back."""
    with tempfile.TemporaryDirectory(prefix="mlops-run-") as folder:
        done = run(replace(job, into=Path(folder) / job.into.name))
        return done, done.notebook.read_bytes()


def _taken(job: Job) -> dict[str, str]:
    """Choose the variables that go along: those named for the notebook, and where the store is."""
    named = (
        *job.environment,
        "MLOPS_STORE",
        "MLOPS_EXPERIMENT",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
    )
    taken = {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, each) for each in named)
    }
    return {**taken, **job.variables}
