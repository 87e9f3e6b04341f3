"""What a target tells a server process: an Order, a Mail with another one; what it is told is the `State`.

Neither knows the other's code: these files are all they share.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import orjson

from mlops_magics.artifact.guard import Certificate, Token
from mlops_magics.artifact.home import Home
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.forms import numbered, unnumbered

_FORM: Final = 1  # of both; files without a number are of before, and have the same fields
_REMEDY = "Deploy the endpoint again: the order is written by `%mlops_deploy`, never by hand."


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what a spoilt file makes of its reader into our error.

    Args:
        what: The file, in a word.

    Raises:
        MLOpsError: It cannot be read.
    """
    try:
        yield
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise MLOpsError(f"The server's {what} cannot be read ({type(error).__name__}).", _REMEDY) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost.

    Attributes:
        body_bytes: The largest request body, in bytes; a larger one is answered 413.
        rows: The most rows in one request; more are answered 413.
        queue: The most requests that may wait; one more is answered 429.
        seconds: The longest that a request may take, in seconds; then it is answered 504.
        held_bytes: The most bytes of bodies that a process holds at once; what is beyond is answered 429.
    """

    body_bytes: int = 16 * 1024 * 1024
    rows: int = 100_000
    queue: int = 1024
    seconds: float = 30.0
    held_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOrder:
    """What is kept of an endpoint's requests and answers.

    Attributes:
        folder: Where it lies.
        leave_out: Columns of the model whose values are not kept.
        whole: Whether the user asked for all of them, also those of later versions.
        days: How long a row is kept.
        most_bytes: The most bytes of all files together; then the oldest go.
    """

    folder: Path
    leave_out: tuple[str, ...] = ()
    whole: bool = False
    days: float = 30.0
    most_bytes: int = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Which alias of its model an endpoint follows.

    Attributes:
        alias: The alias.
        mark: An id that the deploy which began this made up; a later deploy's is another one.
        home: Where that deploy was at home; None in an order by the follower, and of an earlier release.
    """

    alias: str
    mark: str
    home: Home | None = field(default=None, compare=False)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Make it of its JSON object."""
        home = fields.get("home")
        return cls(**{**fields, "home": Home.from_fields(home) if home else None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A second version behind an endpoint.

    Attributes:
        role: "canary" answers some of the requests, "shadow" all of them without being heard.
        percent: How many of a hundred requests a canary answers.
        model_path: Folder of the model on disk.
        version: The registered model's version.
        digest: sha256 digest of the model folder's manifest.
        allow_pickle: Whether the user consented to load a pickle.
        allow_code: Whether the user consented to run the code that the model brings along.
        stopped: Why a canary gets no more requests; "" while it does.
        alias: The alias that it follows; "" for none.
    """

    role: Literal["canary", "shadow"]
    percent: float = 0.0
    model_path: Path
    version: str
    digest: str
    allow_pickle: bool = False
    allow_code: bool = False
    stopped: str = ""
    alias: str = ""

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Make it of its JSON object."""
        return cls(**{**fields, "model_path": Path(fields["model_path"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One endpoint as it should be: which model, at which address, guarded by which token.

    Attributes:
        name: The endpoint's name.
        host: The address to bind; loopback unless the user asked for more.
        port: The port to bind; 0 lets the system choose one, and the state file says which.
        model_path: Folder of the model on disk (an MLflow model folder).
        model: The registered model's name.
        version: The registered model's version.
        digest: sha256 digest of the model folder's manifest; checked before each load.
        token_sha256: Hex sha256 of the token; the raw token is never here. It opens everything.
        state_path: Where the supervisor writes what it is doing (JSON, mode 0600).
        log_path: Where the supervisor and its workers write their log.
        allow_pickle: Whether the user consented to load a pickle.
        allow_code: Whether the user consented to run the code that the model brings along.
        workers: How many worker processes answer.
        limits: What one request may cost.
        journal: What is kept of requests and answers; None for nothing.
        tokens: Further tokens, each with what it opens; those of the file beside the state open as well.
        certificate: What it answers over TLS with; None answers without, on loopback only.
        contract: The contract that requests are held against, as JSON; "" for none.
        follow: The alias that the endpoint follows, or None.
        beside: A second version, or None. In an order to a running endpoint it is put beside what that
            serves, and everything else of the order is as it was.
        trial_sha256: Hex sha256 of the word by which a deploy's own requests are known: they are no traffic.
        reserve: For how many seconds the workers of the version before rest, where it follows an alias; 0 for
            none.
    """

    name: str
    host: str = "127.0.0.1"
    port: int = 0
    model_path: Path
    model: str
    version: str
    digest: str
    token_sha256: str
    state_path: Path
    log_path: Path
    allow_pickle: bool = False
    allow_code: bool = False
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    journal: JournalOrder | None = None
    tokens: tuple[Token, ...] = ()
    certificate: Certificate | None = None
    contract: str = ""
    follow: Follow | None = None
    beside: Beside | None = None
    trial_sha256: str = ""
    reserve: float = 0.0

    def to_json(self) -> bytes:
        """The order as one line of JSON."""
        return orjson.dumps(numbered(asdict(self), _FORM), default=str)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read an order that `to_json` wrote.

        Raises:
            MLOpsError: When the text is not an order.
        """
        with reading("order"):
            fields = orjson.loads(text)
            unnumbered(fields, _FORM, "server's order")
            return cls.from_fields(fields)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Make an order of the JSON object that `to_json` wrote.

        Raises:
            TypeError: A field is missing, unknown, or of another kind.
            KeyError: A field is missing.
        """
        fields = dict(fields)
        fields["limits"] = Limits(**fields["limits"])
        if follow := fields.get("follow"):
            fields["follow"] = Follow.from_fields(follow)
        if beside := fields.get("beside"):
            fields["beside"] = Beside.from_fields(beside)
        for name in ("model_path", "state_path", "log_path"):
            fields[name] = Path(fields[name])
        if journal := fields.get("journal"):
            told = {"folder": Path(journal["folder"]), "leave_out": tuple(journal["leave_out"])}
            fields["journal"] = JournalOrder(**{**journal, **told})
        fields["tokens"] = tuple(Token.from_fields(one) for one in fields.get("tokens", ()))
        if certificate := fields.get("certificate"):
            fields["certificate"] = Certificate.from_fields(certificate)
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a running supervisor is asked to do; it looks for its mail on SIGHUP.

    A change of version takes two mails, so that a version is tried before a client can meet it:
    ``load`` starts the order's workers at a private port, ``take`` puts them at the endpoint's own
    port and drains the old ones, ``drop`` ends them and leaves all as it was.

    Attributes:
        do: What is asked.
        change: An id that the sender made up; the state names it back.
        order: The new order, with ``load`` only.
    """

    do: Literal["load", "take", "drop"]
    change: str
    order: Order | None = None

    def to_json(self) -> bytes:
        """The mail as one line of JSON."""
        return orjson.dumps(numbered(asdict(self), _FORM), default=str)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read a mail that `to_json` wrote.

        Raises:
            MLOpsError: When the text is not a mail.
        """
        with reading("mail"):
            fields: dict[str, Any] = orjson.loads(text)
            unnumbered(fields, _FORM, "server's mail")
            if fields["order"] is not None:
                fields["order"] = Order.from_fields(fields["order"])
            return cls(**fields)
