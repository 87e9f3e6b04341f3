"""What an image serves: one file beside the model's folder, written by a target, read by the server in it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

import orjson

from mlops_magics.artifact.order import Limits
from mlops_magics.foundation.errors import MLOpsError

FILE: Final = "served.json"
MODEL: Final = "model"
"""The model's folder, beside the file."""


def digest_of(contract: str) -> str:
    """Digest a contract, so that a manifest can name the one that an image must hold requests against."""
    return f"sha256:{hashlib.sha256(contract.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An endpoint as it is written into an image. It holds no secret: the token's digest comes when it runs.

    Attributes:
        name: The endpoint's name.
        model: The registered model's name.
        version: The registered model's version.
        digest: The digest of the model's folder; checked before it is loaded.
        allow_pickle: Whether the user consented to load a pickle.
        allow_code: Whether the user consented to run the code that the model brings along.
        port: The port that it answers at.
        workers: How many processes answer.
        limits: What one request may cost.
        contract: The contract that requests are held against, as JSON; "" for none.
    """

    name: str
    model: str
    version: str
    digest: str
    allow_pickle: bool = False
    allow_code: bool = False
    port: int = 8080
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    contract: str = ""

    def to_json(self) -> bytes:
        """The file's content: the same for the same endpoint."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file that lies in a folder.

        Raises:
            MLOpsError: There is none, or it is not what `to_json` wrote.
        """
        try:
            fields = orjson.loads((folder / FILE).read_bytes())
            return cls(**{**fields, "limits": Limits(**fields["limits"])})
        except (OSError, orjson.JSONDecodeError, TypeError, KeyError) as error:
            raise MLOpsError(
                f"{folder / FILE} cannot be read ({type(error).__name__}).",
                "Build the image again from what %mlops_deploy --to container wrote.",
            ) from error
