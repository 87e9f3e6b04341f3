"""What is to be executed and how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""A JSON value."""

Status = Literal["finished", "failed", "timed out", "killed", "dead kernel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A notebook to execute.

    Attributes:
        notebook: The notebook's path, or its content as JSON types (a nbformat node is that too).
        into: Where the executed notebook goes; its folder must be there. Never the notebook itself.
        parameters: New values for names that the cell tagged ``parameters`` assigns.
        timeout: The most seconds for the whole, the start of the kernel included.
        cell_timeout: The most seconds for one cell; as many as are left by default.
        kernel: The kernel's name; the notebook's own by default.
        environment: Variables of this process that are handed on beside those that Python, Jupyter and the
            store's address need, by name or as ``PREFIX*``. Secrets are handed on only if named here.
        variables: Variables to set, by name.
        folder: The folder to execute it in; the notebook's own by default.
        memory: The most bytes that all its processes together may hold; as many as there are by default.
    """

    notebook: Path | Mapping[str, Any]
    into: Path
    parameters: Mapping[str, Value] = field(default_factory=dict)
    timeout: float = 3_600.0
    cell_timeout: float | None = None
    kernel: str | None = None
    environment: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a notebook did not finish; no secret is in it.

    Attributes:
        name: What it is called: the exception's name, ``Timeout``, ``DeadKernel``, ``Memory``, ``Killed``.
        words: What it says.
        cell: Which cell of the executed notebook, counted from 1; None where it was none of them.
    """

    name: str
    words: str
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """What the cells did with files, as the notebook's own recording tells.

    Attributes:
        read: Files that they read and had not written before.
        written: Files that they wrote and that are there.
        network: Whether they talked to a host.
        unknown: Why there may be more, or "".
    """

    read: tuple[str, ...]
    written: tuple[str, ...]
    network: bool
    unknown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What came of a job.

    Attributes:
        status: How it ended.
        failure: Why, where it did not finish.
        seconds: How long it took.
        notebook: The executed notebook, without secrets. It is there however it ended.
        sha256: Of the notebook that was executed, as it was before.
        parameters: The values that were given, those of secrets masked.
        touched: Which files its cells read and wrote; None where it did not finish, or did not load
            ``mlops_magics``, which records that.
    """

    status: Status
    failure: Failure | None
    seconds: float
    notebook: Path
    sha256: str
    parameters: Mapping[str, Value]
    touched: Touched | None = None

    @property
    def finished(self) -> bool:
        """Whether every cell ran to its end."""
        return self.status == "finished"
