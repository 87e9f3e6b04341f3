"""What a follower is told, and what it tells."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import orjson

from mlops_magics.artifact.state import Fault
from mlops_magics.foundation.names import ModelAddress

LIVE: Final = b"l"
"""Asks for what the alias of the endpoint's own version points to."""

BESIDE: Final = b"b"
"""Asks for what the alias of the version beside it points to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One endpoint that follows an alias.

    Attributes:
        name: The endpoint's name.
        model: The registered model.
        alias: The alias.
        mark: The id of this following.
        state: The endpoint's state file.
        allow_pickle: Whether the endpoint was deployed with this consent.
        allow_code: Whether the endpoint was deployed with this consent.
        contract: Whether it holds requests against the contract that its version carries.
        reserve: For how many seconds the workers of the version before rest.
    """

    name: str
    model: str
    alias: str
    mark: str
    state: str
    allow_pickle: bool
    allow_code: bool
    contract: bool = False
    reserve: float = 0.0

    @property
    def address(self) -> ModelAddress:
        """What is watched."""
        return ModelAddress(self.model, alias=self.alias)

    @property
    def state_path(self) -> Path:
        """The endpoint's state file."""
        return Path(self.state)

    @classmethod
    def read(cls, descriptor: int) -> Self:
        """Read a job: one line, and nothing of what is behind it."""
        line = b""
        while not line.endswith(b"\n") and (more := os.read(descriptor, 1)):
            line += more
        return cls(**orjson.loads(line))

    def to_json(self) -> bytes:
        """The job as one line of JSON."""
        return orjson.dumps(asdict(self)) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt to put a version behind an endpoint.

    Attributes:
        version: The version that was tried.
        fault: Why it did not take over; None where it did.
        folder: The folder of its files, where that is on this machine to be watched; or "".
    """

    version: str
    fault: Fault | None = None
    folder: str = ""

    def to_json(self) -> bytes:
        """The outcome as one line of JSON."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read an outcome that `to_json` wrote.

        Raises:
            ValueError: The text is no JSON.
            TypeError: It is something else.
        """
        fields = orjson.loads(text)
        fault = Fault(**fields["fault"]) if fields["fault"] else None
        return cls(**{**fields, "fault": fault})
