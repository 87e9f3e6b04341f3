"""What a server process tells of itself: an endpoint's State, written by its supervisor, read by targets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import orjson

from mlops_magics.artifact.guard import Certificate
from mlops_magics.artifact.order import Beside, reading
from mlops_magics.artifact.paths import lock_path
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.forms import NewerFormError, numbered, unnumbered
from mlops_magics.foundation.locks import unlocked
from mlops_magics.foundation.machine import boot, installation, machine
from mlops_magics.foundation.processes import ProcessId

_FORM: Final = 1  # files without a number are of before, and have the same fields

Status = Literal["starting", "ready", "failed", "stopping"]
ChangeStatus = Literal["loading", "waiting", "live", "failed", "dropped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why something did not work: the two sentences of an MLOpsError, as data."""

    what: str
    remedy: str

    @classmethod
    def of(cls, error: BaseException, doing: str) -> Self:
        """Describe an error.

        Args:
            error: Any error; an MLOpsError speaks for itself.
            doing: What was tried, as the beginning of a sentence: "The model cannot be loaded".
        """
        if isinstance(error, MLOpsError):
            return cls(what=error.what, remedy=error.remedy)
        said = f"{type(error).__name__}: {error}".rstrip(": ").rstrip(".")
        return cls(what=f"{doing}: {said}.", remedy="Look at the log for the whole traceback.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a change of version stands.

    Attributes:
        change: The id that the mail gave it.
        status: loading, waiting (ready at its private port, for ``take`` or ``drop``), live, failed, dropped.
        port: The private port at which the new workers can be tried; 0 where they have answered here before.
        error: Why it failed.
    """

    change: str
    status: ChangeStatus
    port: int = 0
    error: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How an endpoint follows an alias.

    Attributes:
        alias: The alias.
        mark: The id that its deploy made up.
        pid: The follower's process number; 0 while it is being started again.
        version: The version that the remark is about, if it is about one.
        remark: Why the endpoint is not where the alias points, while that is so.
    """

    alias: str
    mark: str
    pid: int = 0
    version: str = ""
    remark: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a supervisor does at this moment, as its state file says it.

    Attributes:
        name: The endpoint's name.
        pid: The supervisor's process number.
        started: When that process started, in seconds since the epoch.
        node: The name of the machine it runs on.
        machine: Which installation of a system that is, whatever its name; empty where nobody says so, and
            in the state of an earlier release.
        birth: What tells that process from a later one whatever the clock says; empty in the state of an
            earlier release.
        host: The address it is bound to.
        port: The port it is bound to.
        model: The registered model's name.
        version: The version that answers.
        digest: The digest of that version's files.
        workers: The process numbers of the workers that answer.
        wanted: How many workers there should be.
        engine: What computes in them: "plan"; "plan: " and why its predictor is asked itself; or "pipeline: "
            and why no plan could be made; "" before it is known, and in the state of an earlier release.
        status: starting, ready, failed or stopping.
        error: What went wrong last, while it matters.
        since: When the status began, in seconds since the epoch.
        change: How the last change of version stands.
        follow: How it follows an alias, if it does.
        beside: The second version behind it, if there is one.
        certificate: What it answers over TLS with, if it does.
    """

    name: str
    pid: int
    started: float
    node: str
    machine: str = ""
    birth: str = ""
    host: str
    port: int
    model: str
    version: str
    digest: str
    workers: tuple[int, ...]
    wanted: int
    engine: str = ""
    status: Status
    error: Fault | None = None
    since: float
    change: Change | None = None
    follow: Following | None = None
    beside: Beside | None = None
    certificate: Certificate | None = None

    @property
    def process(self) -> ProcessId:
        """The supervisor, not to be mistaken for a later process of the same number."""
        return ProcessId(self.pid, self.started, self.node, self.birth)

    def to_json(self) -> bytes:
        """The state as one line of JSON."""
        return orjson.dumps(numbered(asdict(self), _FORM), default=str)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read a state that `to_json` wrote.

        Raises:
            MLOpsError: When the text is not a state.
        """
        with reading("state"):
            fields: dict[str, Any] = orjson.loads(text)
            unnumbered(fields, _FORM, "server's state")
            fields["workers"] = tuple(fields["workers"])
            fields["error"] = Fault(**fields["error"]) if fields["error"] else None
            if change := fields["change"]:
                fault = Fault(**change["error"]) if change["error"] else None
                fields["change"] = Change(**{**change, "error": fault})
            if follow := fields.get("follow"):
                fault = Fault(**follow["remark"]) if follow["remark"] else None
                fields["follow"] = Following(**{**follow, "remark": fault})
            if beside := fields.get("beside"):
                fields["beside"] = Beside.from_fields(beside)
            if certificate := fields.get("certificate"):
                fields["certificate"] = Certificate.from_fields(certificate)
            return cls(**fields)

    @classmethod
    def read(cls, path: Path) -> State | None:
        """Read a state file; None where there is none, or one that a crash or a hand has spoilt.

        Raises:
            NewerFormError: A newer release wrote it.
        """
        try:
            return _renamed(cls.from_json(path.read_bytes()), path)
        except NewerFormError:
            raise
        except (OSError, MLOpsError):
            return None


def _renamed(state: State, path: Path) -> State:
    """Give the machine its name of today, where it had another one when the state was written.

    That it is this machine is not enough: containers of one have names of their own. So the process must run
    here, or nobody hold the lock beside the state any more.
    """
    if state.node == machine() or not _written_here(state):
        return state
    here = replace(state, node=machine())
    return here if here.process.alive() or unlocked(lock_path(path)) else state


def _written_here(state: State) -> bool:
    """Tell whether a state was written on this machine: by its own id, or because it has run ever since."""
    since = state.birth.rpartition(":")[0]
    return bool(state.machine and state.machine == installation()) or bool(since and since == boot())
