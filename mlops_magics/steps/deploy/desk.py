"""The desk of one deploy: what the user asked for is listed, shown, granted, planned or served."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from mlops_magics.artifact import served
from mlops_magics.artifact.foreign import FORM
from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.files import from_home
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.act import asked, noted, put
from mlops_magics.steps.deploy.facts import Course, Share, Wanted, line_of, share_of, version_of
from mlops_magics.steps.deploy.result import LATELY, Deployment, Listing, Plan, Removal, Written
from mlops_magics.steps.deploy.tokens import Tokens, scopes_of, tokens
from mlops_magics.steps.deploy.traffic import Traffic, rate, read
from mlops_magics.steps.deploy.undoing import again, undo_of
from mlops_magics.steps.deploy.unit import Unit
from mlops_magics.steps.deploy.watch import Watch
from mlops_magics.targets.base import Endpoint, Target
from mlops_magics.targets.finding import find
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store

Told = Deployment | Written | Plan | Listing | Removal | Traffic | Tokens | Unit
"""What the verb returns."""


_TOKENS: Final = (
    "Leave --to out. Where our server runs elsewhere, MLOPS_TOKEN_SHA256 takes the digests of several tokens."
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of an endpoint that is there.

    Attributes:
        remove: Take it away.
        plan: Say what would change.
        into: The folder that it was written to.
        traffic: Show what came in this time.
        tokens: List its tokens.
        grant: Make a token of this name.
        scopes: What that token opens.
        revoke: Take the token of this name back.
        unit: Write its systemd unit to this folder.
    """

    remove: bool = False
    plan: bool = False
    into: Path | None = None
    traffic: str | None = None
    tokens: bool = False
    grant: str | None = None
    scopes: tuple[str, ...] = ()
    revoke: str | None = None
    unit: Path | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """The store and the target that a line is about.

    Attributes:
        store: The open store.
        target: The target.
        to: The target's name as it was written.
        begun: When the line was read.
    """

    store: Store
    target: Target
    to: str
    begun: datetime

    @classmethod
    def open(cls, to: str, settings: Settings | None) -> Self:
        """Open the store and find the target.

        Raises:
            NotFoundError: There is no such target.
            UnavailableError: The store cannot be reached.
        """
        begun = datetime.now(UTC)
        settings = settings or Settings.discover()
        return cls(open_store(settings), find(to, settings, masked(settings.store)), to, begun)

    def told(self, model: str | ModelVersion | None, ask: Ask) -> Told | None:
        """Do what is asked of endpoints that are there; None where a version is to be served.

        Args:
            model: The endpoint's name; None lists all of them.
            ask: What is asked.

        Raises:
            MLOpsError: There is no such endpoint, or it does not do that.
        """
        if model is None:
            return self._listed(ask)
        name = model.partition("@")[0] if isinstance(model, str) else model.model
        if ask.scopes and ask.grant is None:
            raise UsageError("--scopes says what a new token opens.", "Add --grant NAME.")
        if ask.remove:
            return self._removed(name, ask.into)
        if ask.traffic is not None:
            return self._traffic(name, seconds(ask.traffic, "--traffic"))
        if ask.tokens or ask.grant is not None or ask.revoke is not None:
            local = self._local("tokens beside an endpoint's own", _TOKENS)
            return tokens(local, name, ask.grant, scopes_of(ask.scopes), ask.revoke)
        if ask.unit is not None:
            local = self._local("units of systemd")
            file, unit = local.unit(name, ask.unit)
            course = local.course(name)
            return Unit(name, file, unit, course.alias, course.withheld, course.file)
        return None

    def _listed(self, ask: Ask) -> Listing:
        for flag in ("remove", "plan", "tokens"):
            if getattr(ask, flag):
                raise UsageError("Which endpoint shall it be?", f"%mlops_deploy NAME --{flag}")
        found = self.target.list()
        return Listing(found, {item.name: rate(item.journal, LATELY) for item in found if item.journal})

    def _local(self, what: str, remedy: str = "Leave --to out.") -> LocalTarget:
        if not isinstance(self.target, LocalTarget):
            raise UsageError(f"The target {self.to} knows no {what}.", remedy)
        return self.target

    def served(
        self,
        model: str | ModelVersion,
        wanted: Wanted,
        course: Course,
        *,
        plan: bool,
        standby: Standby | None,
    ) -> Deployment | Written | Plan:
        """Have a version served, and a second one beside it where a shadow is named; or say what changes.

        Args:
            model: The version.
            wanted: How it shall be served.
            course: What it follows and what stands beside it.
            plan: Whether to say what would change, and change nothing.
            standby: The process that waits for a deployment, where there is one.

        Raises:
            MLOpsError: It did not work; what was live before is live still.
        """
        alias = _alias(model, self.to) if course.follow else None
        share, shadow = share_of(course.canary, self.to, alias or ""), course.shadow
        line = line_of(model, wanted.name, course)
        wanted = replace(wanted, share=share, follow=None if share.role else alias, line=line)
        if share.role and wanted.kept.contract:
            raise UsageError(
                "A canary is held to the contract of the version that is live.", "Leave --contract out."
            )
        version = version_of(self.store, model)
        if plan:
            return self._planned(version, wanted, course)
        if shadow is not None:
            self._local("shadows")
            self._allowed(version.model, shadow, wanted, follow=course.follow)
        live, notes = put(self.store, self.target, version, wanted, standby=standby)
        if shadow is not None:
            named = replace(wanted, name=live.name)
            second = self._shadow(version.model, shadow, named, follow=course.follow)
            live = replace(second, replaced=live.replaced)
        return self._result(live, notes)

    def _planned(self, version: ModelVersion, wanted: Wanted, course: Course) -> Plan:
        """Say what would change, a shadow included where one is named."""
        with asked(self.store, self.target, version, wanted) as (request, _):
            if course.shadow is None:
                differences = self.target.plan(request)
            else:
                local, named = self._local("shadows"), replace(wanted, name=request.name)
                second, beside = self._second(version.model, course.shadow, named, follow=course.follow)
                with asked(self.store, local, second, beside) as (shadow, _):
                    differences = local.plan(request, shadow=shadow)
        return Plan(request.name, version.model, version.version, self.to, differences)

    def _allowed(self, model: str, shadow: str, wanted: Wanted, *, follow: bool) -> None:
        """Refuse a shadow that needs more consent before the live version takes over without it."""
        second, named = self._second(model, shadow, wanted, follow=follow)
        if second.format == FORM and not (named.consents.pickle and named.consents.code):
            with asked(self.store, self.target, second, named):
                pass

    def _shadow(self, model: str, shadow: str, wanted: Wanted, *, follow: bool) -> Endpoint:
        """Put a version beside the live one; with ``--follow`` an alias is followed there as well."""
        version, named = self._second(model, shadow, wanted, follow=follow)
        return put(self.store, self.target, version, named)[0]

    def _second(
        self, model: str, shadow: str, wanted: Wanted, *, follow: bool
    ) -> tuple[ModelVersion, Wanted]:
        """Find the version that shall be a shadow, and how it shall be served."""
        alias = shadow[1:] if shadow.startswith("@") else ""
        version = version_of(self.store, f"{model}@{alias}" if alias else f"{model}/{shadow}")
        share = Share("shadow", alias=alias if follow else "")
        kept = replace(wanted.kept, contract=False)  # nobody asks it
        return version, replace(wanted, follow=None, port=None, share=share, kept=kept)

    def _result(self, endpoint: Endpoint, notes: tuple[str, ...]) -> Deployment | Written:
        name, model, version, target = endpoint.name, endpoint.model, endpoint.version, endpoint.target
        if endpoint.status == "written":
            folder = endpoint.folder or self.store.settings.root
            return Written(name, model, version, target, self._shown(folder), endpoint.then, _carried(folder))
        return Deployment(
            name,
            endpoint.url,
            model,
            version,
            target,
            (datetime.now(UTC) - self.begun).total_seconds(),
            engine=endpoint.engine,
            notes=(*notes, *endpoint.then, *([str(endpoint.caution)] if endpoint.caution else [])),
            follows=endpoint.follows,
            beside=endpoint.beside,
            key_file=from_home(endpoint.key_file) if endpoint.key_file else "",
            certificate=from_home(endpoint.certificate) if endpoint.certificate else "",
            undo=undo_of(endpoint),
            watch=Watch(self.target, name) if isinstance(self.target, LocalTarget) else None,
        )

    def _shown(self, folder: Path) -> str:
        """Write a folder from the project's root, where it lies there."""
        root = self.store.settings.root
        return (folder.relative_to(root) if folder.is_relative_to(root) else folder).as_posix()

    def _traffic(self, name: str, length: float) -> Traffic:
        known = {endpoint.name: endpoint for endpoint in self.target.list()}
        if name not in known:
            raise NotFoundError(
                f"There is no endpoint {name}.", nearest(name, known) or "Make one with %mlops_deploy."
            )
        return read(name, known[name].journal, length)

    def _removed(self, name: str, into: Path | None) -> Removal:
        endpoint = self.target.remove(name, into=into)
        folder, stays = endpoint.folder, endpoint.journal is not None
        left = self._shown(folder) if folder and folder.exists() else ""
        if not endpoint.model:  # another's plugin does not say what it served
            return Removal(name)
        try:
            version = registry.resolve(self.store, ModelAddress(endpoint.model, endpoint.version))
        except NotFoundError:  # the version was deleted meanwhile; the endpoint is gone all the same
            return Removal(name, stays, left)
        noted(self.store, version, endpoint, "removed")
        return Removal(name, stays, left, again(endpoint))


def _alias(model: str | ModelVersion, to: str) -> str:
    """Name the alias that is to be followed.

    Raises:
        UsageError: A version was named, or the target follows none.
    """
    address = (
        ModelAddress.parse(model) if isinstance(model, str) else ModelAddress(model.model, model.version)
    )
    if address.version:
        raise UsageError(
            f"{address} is one version: it points nowhere else.",
            f"%mlops_deploy {address.model}@champion --follow",
        )
    if to != "local":
        raise UsageError(f"The target {to} follows no alias.", "Leave --follow out, or use --to local.")
    return address.alias or "champion"


def _carried(folder: Path) -> tuple[str, ...]:
    """Name the consents that are written into what an image serves; none where no image is made here."""
    if not (folder / served.FILE).is_file():
        return ()
    told = served.Served.read(folder)
    return tuple(name for name, given in (("pickle", told.allow_pickle), ("code", told.allow_code)) if given)
