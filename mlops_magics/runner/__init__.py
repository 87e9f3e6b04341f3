"""Notebooks executed without anybody looking on, in processes of their own: the only door to nbclient."""

from mlops_magics.runner.job import Executed, Failure, Job, Touched
from mlops_magics.runner.running import run

__all__ = ["Executed", "Failure", "Job", "Touched", "run"]
