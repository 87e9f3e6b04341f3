"""Where a deploy is at home, as far as that is no secret: from there an endpoint finds its store again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The part of a deploy's surroundings that may lie on a disk.

    Attributes:
        environ: Variables that hold no secret.
        folder: The current folder, from which relative addresses are taken.
        withheld: The names of those that may hold one: who starts the endpoint again gives them along.
    """

    environ: Mapping[str, str]
    folder: str
    withheld: tuple[str, ...] = ()

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """Make it of its JSON object."""
        return cls(**{**fields, "withheld": tuple(fields["withheld"])})
