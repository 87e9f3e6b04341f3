"""Who is watched: an endpoint or a version, and what was kept about how its rows looked."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.artifact.reference import NAME, Reference
from mlops_magics.artifact.reference import read as read_reference
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, nearest
from mlops_magics.foundation.files import private_folder, write_atomic
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.stats.coded import NAME as ROWS
from mlops_magics.stats.coded import CodedRows
from mlops_magics.steps.deploy.facts import version_of
from mlops_magics.steps.register.files import ROWS as REGISTERED
from mlops_magics.steps.register.files import ROWS_TAG
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.finding import find
from mlops_magics.tracking import belongings, evaluations, registry, subject
from mlops_magics.tracking.evaluations import Summary
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Watched:
    """A version where it serves, or as it is registered.

    Attributes:
        place: The endpoint's name; of a table, whose rows these are.
        version: The version.
        journal: The endpoint's journal; None of a table, and where none is kept.
        reference: How the rows looked when it was fitted; None where nothing was kept.
        before: What its evaluation found; None where it was never evaluated.
        rows: Some of the rows that it was fitted on, as numbers; None where none were kept.
    """

    place: str
    version: ModelVersion
    journal: Path | None
    reference: Reference | None
    before: Summary | None
    rows: CodedRows | None = None

    @property
    def digest(self) -> str:
        """What tells its reference from any other."""
        return "" if self.reference is None else self.reference.digest

    @property
    def trained(self) -> float:
        """When it was registered, in seconds since 1970."""
        return self.version.since


def endpoints_of(store: Store) -> tuple[Endpoint, ...]:
    """List the endpoints of this machine, by name."""
    return find("local", store.settings, masked(store.settings.store)).list()


def endpoint(store: Store, name: str) -> Watched:
    """Find an endpoint and the version that it serves.

    Args:
        store: The open store.
        name: The endpoint's name; what stands behind an ``@`` is not looked at.

    Raises:
        NotFoundError: There is no such endpoint, it keeps no journal, or its version is gone.
    """
    known = {one.name: one for one in endpoints_of(store)}
    wanted = name.partition("@")[0].partition("/")[0]
    if wanted not in known:
        raise NotFoundError(
            f"There is no endpoint {wanted}.",
            nearest(wanted, known) or f"Give rows instead: %mlops_monitor {name} --data ROWS",
        )
    found = known[wanted]
    if found.journal is None:
        raise NotFoundError(f"{wanted} keeps no journal.", f"Deploy {wanted} again without --no-journal.")
    version = registry.resolve(store, ModelAddress(found.model, found.version))
    return watched(store, version, found.name, found.journal)


def registered(store: Store, model: str | ModelVersion) -> Watched:
    """Find the version that rows of a table are compared with; a bare name means its champion."""
    version = version_of(store, model)
    return watched(store, version, f"rows of {version.model}", None)  # no endpoint's alerts are these


def watched(store: Store, version: ModelVersion, place: str, journal: Path | None) -> Watched:
    """Bring together what was kept about a version."""
    reference = reference_of(store, version)
    rows = rows_of(store, version, reference)
    return Watched(place, version, journal, reference, evaluations.read(store, version), rows)


def reference_of(store: Store, version: ModelVersion) -> Reference | None:
    """Read the reference of a version; None where there is none.

    It is kept in the state folder under the digest of the version's files, so that watching a thousand
    models does not fetch a thousand models each time.
    """
    path = _kept(store, version, "json")
    if path is not None:
        with contextlib.suppress(OSError, MLOpsError):
            return Reference.from_json(path.read_bytes(), str(path))
    with subject.files(store, subject.of_version(version)) as folder:
        found = read_reference(folder)
        if found is not None:
            _keep(path, (folder / NAME).read_bytes())
    return found


def rows_of(store: Store, version: ModelVersion, reference: Reference | None) -> CodedRows | None:
    """Read the rows that were kept with a version, likewise; None where there are none, or damaged ones."""
    if reference is None or not keeps_rows(version, reference):
        return None
    path = _kept(store, version, "npz")
    if path is not None:
        with contextlib.suppress(OSError, MLOpsError):
            return CodedRows.from_bytes(path.read_bytes())
    with contextlib.suppress(OSError, MLOpsError):
        content = _rows(store, version, reference)
        found = CodedRows.from_bytes(content)
        _keep(path, content)
        return found
    return None


def keeps_rows(version: ModelVersion, reference: Reference) -> bool:
    """Tell whether rows were kept: with the model when it was fitted, or when it was registered."""
    return bool(reference.kept_rows or version.tags.get(ROWS_TAG))


def _rows(store: Store, version: ModelVersion, reference: Reference) -> bytes:
    if not reference.kept_rows:
        return belongings.get(store, version, REGISTERED)
    with subject.files(store, subject.of_version(version)) as folder:
        return (folder / ROWS).read_bytes()


def _kept(store: Store, version: ModelVersion, ending: str) -> Path | None:
    """Say where something of a version's files is kept here; None where nothing tells its files."""
    if version.digest is None:
        return None
    return store.settings.state / "references" / f"{version.digest.rpartition(':')[2]}.{ending}"


def _keep(path: Path | None, content: bytes) -> None:
    if path is not None:
        with contextlib.suppress(MLOpsError):
            private_folder(path.parent)
            write_atomic(path, content, private=True)
