"""What every serving target can do, and what goes in and out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from mlops_magics.artifact.guard import Certificate
from mlops_magics.artifact.order import Beside, Limits
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.standby import Standby

EndpointStatus = Literal["starting", "ready", "failed", "stopping", "down", "elsewhere", "written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be served, and how.

    Attributes:
        name: The endpoint's name.
        model: The registered model's name.
        version: The registered model's version.
        digest: The digest of the model's folder, as the registry keeps it (``sha256:...``).
        model_path: A folder with the model that nobody changes meanwhile; the target copies it.
        allow_pickle: Whether the user consented to load a pickle.
        allow_code: Whether the user consented to run the code that the model brings along.
        workers: How many processes answer.
        port: The port wanted; None keeps the endpoint's own, or finds a free one.
        host: The address to listen at; None keeps the endpoint's own, which is loopback at first.
        certificate: What it answers over TLS with; None keeps what the endpoint has.
        example: A request's JSON body that the new version must answer before any client meets it.
        expected: The predictions that it must answer with, exactly.
        limits: What one request may cost.
        journal: Whether requests and answers are kept.
        log_values: Whether those of all columns are kept, whatever they look like.
        leave_out: Columns whose values are not kept.
        follow: The alias that the endpoint follows from now on; None ends the following.
        mark: Which following asks for this version by itself; None where a user does.
        confirm: What is called when all that is left is to let it take over; where it raises, it does not.
        beside: What the version answers for beside the one that is live: "canary" for some requests,
            "shadow" for all, unheard; "" takes the live one's place.
        percent: How many of a hundred requests a canary answers.
        beside_follows: The alias that the version beside follows from now on; "" for none.
        contract: The contract that requests are held against, as JSON; "" for none.
        image: The container image that is to run, for a target that names one.
        replicas: The fewest and the most copies, for a target that runs several.
        into: The folder to write to, for a target that writes; by default one of the project's own.
    """

    name: str
    model: str
    version: str
    digest: str
    model_path: Path
    allow_pickle: bool = False
    allow_code: bool = False
    workers: int = 1
    port: int | None = None
    host: str | None = None
    certificate: Certificate | None = None
    example: bytes | None = None
    expected: Sequence[Any] | None = None
    limits: Limits = field(default_factory=Limits)
    journal: bool = True
    log_values: bool = False
    leave_out: tuple[str, ...] = ()
    follow: str | None = None
    mark: str | None = None
    confirm: Callable[[], None] | None = field(default=None, compare=False)
    beside: Literal["", "canary", "shadow"] = ""
    percent: float = 0.0
    beside_follows: str = ""
    contract: str = ""
    image: str | None = None
    replicas: tuple[int, int] | None = None
    into: Path | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a deployment would change.

    Attributes:
        what: Whether it is new, changes, or goes.
        where: A file, or a field: of the endpoint, or of a file behind ``: ``.
        before: What is there, where that is a short text.
        after: What would be there, likewise.
    """

    what: Literal["added", "changed", "removed"]
    where: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """What is to be done about an endpoint soon, although it answers.

    Attributes:
        what: What is the matter.
        remedy: What to do.
        broken: Whether clients are refused already.
    """

    what: str
    remedy: str
    broken: bool

    def __str__(self) -> str:
        """Both sentences."""
        return f"{self.what} {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint as it is at the moment of asking.

    Attributes:
        name: Its name.
        url: Where it answers.
        model: The registered model's name.
        version: The version that answers.
        port: The port it answers at.
        pid: The process that keeps it alive.
        started: When that process started, in seconds since the epoch.
        status: ready, starting, failed, stopping; down where its process is gone, elsewhere where another
            machine runs it, which cannot be asked from here; written where files are all there is.
        workers: How many processes answer.
        target: The target that keeps it.
        store: The store that its model is registered in.
        engine: What computes: "plan" where the pipeline was compiled, "plan: " and why where all of it was
            but the predictor, otherwise why it was not.
        journal: The folder of its journal; None where it has none.
        follows: The alias that it follows, or "".
        remark: Why it is not where that alias points, while that is so.
        followed: The alias that it followed until this deploy ended that, or "".
        replaced: What answered there until this deploy, or None.
        beside: The second version behind it and what it answers for, in words, or "".
        second: The same as it was ordered, or None.
        key_file: The file that holds its token, for clients outside of the notebook; None where none does.
        folder: Where its files lie, for a target that writes.
        then: The commands that bring those files to life, or what else has to be known of them.
        at: The address to connect to from here, where it is not the one in the URL.
        certificate: The file with the certificate that it shows, where it answers over TLS.
        caution: What is to be done about that certificate soon, if anything.
    """

    name: str
    url: str
    model: str
    version: str
    port: int
    pid: int
    started: float
    status: EndpointStatus
    workers: int
    target: str = "local"
    store: str = ""
    engine: str = ""
    journal: Path | None = None
    follows: str = ""
    remark: str = ""
    followed: str = ""
    replaced: Endpoint | None = None
    beside: str = ""
    second: Beside | None = None
    key_file: Path | None = None
    folder: Path | None = None
    then: tuple[str, ...] = ()
    at: str = ""
    certificate: Path | None = None
    caution: Caution | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered.

    Attributes:
        status: The HTTP status.
        body: The body as it came.
        headers: The headers, their names in small letters.
        seconds: How long it took, connecting included.
    """

    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float


class Target(Protocol):
    """A place where models are served, or files for one."""

    def plan(self, request: Request) -> tuple[Difference, ...]:
        """Say what `deploy` would change, and change nothing.

        Args:
            request: What would be served.

        Returns:
            The differences from what is there, in a fixed order; none where it is served so already.
        """
        ...

    def deploy(self, request: Request, *, standby: Standby | None = None) -> Endpoint:
        """Serve a model, in place of the version that the endpoint serves now, if it does.

        Args:
            request: What is to be served.
            standby: A warm process to start from, for a target that can use one.

        Returns:
            The endpoint, ready.

        Raises:
            UnavailableError: It did not work; what was served before still is.
        """
        ...

    def remove(self, name: str, *, into: Path | None = None) -> Endpoint:
        """Stop an endpoint and forget it.

        Args:
            name: The endpoint.
            into: The folder that it was written to, where that was named.

        Returns:
            The endpoint as it was.

        Raises:
            NotFoundError: There is no endpoint of this name.
            UnavailableError: It cannot be stopped from here.
        """
        ...

    def list(self) -> tuple[Endpoint, ...]:
        """List this store's endpoints by name, with how each is now."""
        ...

    def call(self, name: str, body: bytes, *, content_type: str = "application/json") -> Answer:
        """Ask an endpoint for predictions.

        Args:
            name: The endpoint.
            body: A request's body.
            content_type: What the body is.

        Returns:
            The answer, of status 200.

        Raises:
            NotFoundError: There is no endpoint of this name.
            MLOpsError: It refused the request, or cannot be reached.
        """
        ...


MakeTarget = Callable[[Settings, str], Target]
"""How a target is made: from the settings, and the store's shown address."""
