"""What deploying returns: what is live, what was written, what would change, what is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from mlops_magics.foundation.blocks import Block, Code, Facts, Name, Note, Phrase, Table, Title
from mlops_magics.foundation.result import Result, live
from mlops_magics.steps.deploy.traffic import Rate
from mlops_magics.steps.deploy.undoing import told
from mlops_magics.targets.base import Difference, Endpoint

LATELY: Final = 300.0
"""Seconds over which the rate of an endpoint is taken."""

_SHOWN: Final = 40  # differences


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
        engine: What computes: "plan" where the pipeline was compiled, "plan: " and why where all of it was
            but the predictor, otherwise why it was not.
        notes: What the user should know: pins that differ, an alias that is followed no more.
        follows: The alias that the endpoint follows from now on, or "".
        beside: The second version behind it and what it answers for, in words, or "".
        key_file: The file, readable for you only, that holds its token, from ``~`` on where it lies there; ""
            where none does.
        certificate: The file with the certificate that it answers over TLS with, likewise; "" without TLS.
        undo: The line that takes this back, or both, where something else answered there before; or "".
        watch: What looks at the endpoint for a card; None where it cannot be looked at from here.
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
    beside: str = ""
    key_file: str = ""
    certificate: str = ""
    undo: str = ""
    watch: Any = live(default=None)

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what answers where, and how to ask it."""
        yield Title(f"Endpoint {self.name}", "live", "good")
        yield Facts(
            [
                ("model", f"{self.model}, version {self.version}"),
                ("url", f"{self.url}/invocations"),
                ("checked", f"first correct answer after {self.seconds:.2f} s"),
                ("token", f"in {self.key_file}" if self.key_file else "where it was given"),
                *([("certificate", self.certificate)] if self.certificate else []),
                ("computed by", self._engine()),
                *([("follows", self.follows)] if self.follows else []),
                *([("beside it", self.beside)] if self.beside else []),
                ("next", f"%mlops_predict {self.name} DATA"),
            ]
        )
        for note in self.notes:
            yield Note(note, "quiet")
        if self.undo:
            yield Note(f"undo: {told(self.undo)}", "quiet")

    def _engine(self) -> str:
        if self.engine == "plan":
            return "a compiled plan, which answered all tried rows as the pipeline does"
        if self.engine.startswith("plan: "):
            why = self.engine.removeprefix("plan: ")
            return (
                f"a plan up to the predictor, which is asked itself ({why}); it answered all tried rows alike"
            )
        if self.engine.startswith("pyfunc: "):
            return f"the model itself, as MLflow loads it ({self.engine.removeprefix('pyfunc: ')})"
        return f"the {self.engine}" if self.engine else "the pipeline"

    def ids(self) -> Mapping[str, str]:
        """Name the version and the address."""
        return {"version": self.version, "url": self.url}


@dataclass(frozen=True)
class Listing(Result):
    """The endpoints of this store.

    Attributes:
        endpoints: An endpoint a row.
        rates: What came to each of late, by name, where it keeps a journal here.
    """

    endpoints: tuple[Endpoint, ...]
    rates: Mapping[str, Rate] = field(default_factory=dict)

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show an endpoint a row."""
        yield Title("Endpoints", f"{len(self.endpoints)}")
        yield Table(
            ("endpoint", "status", "model", "version", "follows", "requests a minute", "refused", "where"),
            [
                (
                    item.name,
                    item.status,
                    item.model,
                    item.version,
                    item.follows or None,
                    *self._came(item),
                    _where(item),
                )
                for item in self.endpoints
            ],
        )
        if self.rates:
            yield Note(f"Requests and refusals of the last {LATELY / 60:g} minutes.", "quiet")
        for item in self.endpoints:
            if item.beside:
                yield Note(f"{item.name}, beside it: {item.beside}")
            if item.remark:
                yield Note(f"{item.name}: {item.remark}", "bad")
            if item.caution:
                yield Note(f"{item.name}: {item.caution}", "bad")
        if not self.endpoints:
            yield Note("None is live.")
            yield Code("%mlops_deploy MODEL@champion")

    def _came(self, item: Endpoint) -> tuple[float | None, int | None]:
        rate = self.rates.get(item.name)
        return (round(rate.requests / rate.seconds * 60, 2), rate.refused) if rate else (None, None)


@dataclass(frozen=True)
class Removal(Result):
    """An endpoint that is gone.

    Attributes:
        name: Its name.
        journal_stays: Whether it kept a journal, which is there still.
        left: The folder that is left, because it holds files of the user's own or changed ones.
        undo: The line that brings it back, or both; "" where it is not known what it served.
    """

    name: str
    journal_stays: bool = False
    left: str = ""
    undo: str = ""

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Say so."""
        yield Title(f"Endpoint {self.name}", "removed")
        if self.left:
            yield Note(
                Phrase(("What was not written here, or changed since, is left in ", Name(self.left), "."))
            )
        if self.journal_stays:
            yield Note(
                "Its journal stays until you delete it, and goes on when the endpoint is deployed again."
            )
        if self.undo:
            yield Note(f"undo: {told(self.undo)}", "quiet")


def _where(endpoint: Endpoint) -> str:
    return endpoint.url or str(endpoint.folder or "")


@dataclass(frozen=True)
class Written(Result):
    """A deployment that is written down; another tool brings it to life.

    Attributes:
        name: The deployment's name.
        model: The registered model.
        version: The version that it is of.
        target: What it is written for.
        folder: Where its files lie.
        then: The commands that bring it to life, and what else has to be known.
        consents: The consents that go along with the files: "pickle", "code".
    """

    name: str
    model: str
    version: str
    target: str
    folder: str
    then: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show where it lies and what to do next; nothing of it was done."""
        yield Title(f"Endpoint {self.name}", f"written for {self.target}", "good")
        facts: list[tuple[str, str | Name]] = [
            ("model", f"{self.model}, version {self.version}"),
            ("folder", Name(self.folder)),
        ]
        if self.consents:
            carried = f"{' and '.join(self.consents)}: whoever starts it runs what is in the model's files"
            facts.append(("consents", carried))
        yield Facts(facts)
        for line in self.then:
            yield Code(line)

    def ids(self) -> Mapping[str, str]:
        """Name the version."""
        return {"version": self.version}


@dataclass(frozen=True)
class Plan(Result):
    """What deploying would change. Nothing was changed.

    Attributes:
        name: The deployment's name.
        model: The registered model.
        version: The version that it would be of.
        target: Where it would be deployed.
        differences: What would be added, changed and removed.
    """

    name: str
    model: str
    version: str
    target: str
    differences: tuple[Difference, ...]

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show a difference a row."""
        counts = Counter(item.what for item in self.differences)
        changes = [f"{counts[what]} {what}" for what in ("added", "changed", "removed") if counts[what]]
        yield Title(f"Plan for {self.name} on {self.target}", ", ".join(changes) or "nothing to do")
        yield Facts([("model", f"{self.model}, version {self.version}")])
        if self.differences:
            yield Table(
                ("what", "where", "before", "after"),
                [
                    (item.what, Name(item.where), Name(item.before), Name(item.after))
                    for item in self.differences[:_SHOWN]
                ],
            )
        if len(self.differences) > _SHOWN:
            yield Note(f"And {len(self.differences) - _SHOWN} more: .differences has them all.", "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the version."""
        return {"version": self.version}
