"""What %mlops_deploy returns: a live endpoint, the list of them, or one that is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Table, Title
from mlops_magics.foundation.result import Result
from mlops_magics.targets.base import Endpoint


@dataclass(frozen=True)
class Deployment(Result):
    """A live endpoint.

    Attributes:
        name: The endpoint's name.
        url: Where requests go.
        model: The registered model.
        version: The version that answers.
        target: Where it runs.
        seconds: How long it took from the call to the first correct answer.
        engine: What computes: "plan" where the pipeline was compiled, otherwise why it was not.
        notes: What the user should know: pins that differ, an alias that is followed no more.
        follows: The alias that the endpoint follows from now on, or "".
    """

    name: str
    url: str
    model: str
    version: str
    target: str
    seconds: float
    engine: str = ""
    notes: tuple[str, ...] = ()
    follows: str = ""

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what answers where, and how to ask it."""
        yield Title(f"Endpoint {self.name}", "live", "good")
        yield Facts(
            [
                ("model", f"{self.model}, version {self.version}"),
                ("url", f"{self.url}/invocations"),
                ("checked", f"first correct answer after {self.seconds:.2f} s"),
                ("computed by", self._engine()),
                ("follows", self.follows or None),
                ("next", f"%mlops_predict {self.name} DATA"),
            ]
        )
        for note in self.notes:
            yield Note(note, "quiet")

    def _engine(self) -> str:
        if self.engine == "plan":
            return "a compiled plan, which answered all tried rows as the pipeline does"
        return f"the {self.engine}" if self.engine else "the pipeline"

    def ids(self) -> Mapping[str, str]:
        """Name the version and the address."""
        return {"version": self.version, "url": self.url}


@dataclass(frozen=True)
class Listing(Result):
    """The endpoints of this store.

    Attributes:
        endpoints: An endpoint a row.
    """

    endpoints: tuple[Endpoint, ...]

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show an endpoint a row."""
        yield Title("Endpoints", f"{len(self.endpoints)}")
        yield Table(
            ("endpoint", "status", "model", "version", "follows", "url"),
            [
                (item.name, item.status, item.model, item.version, item.follows or None, item.url)
                for item in self.endpoints
            ],
        )
        for item in self.endpoints:
            if item.remark:
                yield Note(f"{item.name}: {item.remark}", "bad")
        if not self.endpoints:
            yield Note("None is live.")
            yield Code("%mlops_deploy MODEL@champion")


@dataclass(frozen=True)
class Removal(Result):
    """An endpoint that is gone.

    Attributes:
        name: Its name.
        journal_stays: Whether it kept a journal, which is there still.
    """

    name: str
    journal_stays: bool = False

    def blocks(self) -> Iterable[Block]:
        """Say so."""
        yield Title(f"Endpoint {self.name}", "removed")
        if self.journal_stays:
            yield Note(
                "Its journal stays until you delete it, and goes on when the endpoint is deployed again."
            )
