"""From what the user named to a request that a target can take: version, pins, files, private columns."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mlops_magics.artifact import foreign, manifest, reference, schema
from mlops_magics.artifact.certificate import checked
from mlops_magics.artifact.guard import Certificate
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.request import split_body
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.targets.base import Request
from mlops_magics.targets.local_address import checked_host
from mlops_magics.tracking import provenance, pyfunc, registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

_TEXTS = frozenset({"string", "binary"})


def version_of(store: Store, model: str | ModelVersion) -> ModelVersion:
    """Find the version that is meant; a bare name means its champion."""
    if isinstance(model, ModelVersion):
        return registry.resolve(store, ModelAddress(model.model, model.version))
    address = ModelAddress.parse(model)
    if address.alias is None and address.version is None:
        address = replace(address, alias="champion")
    return registry.resolve(store, address)


def pins(folder: Path) -> tuple[str, ...]:
    """Compare the pins of the model with what is installed here.

    Raises:
        RefusedError: scikit-learn differs in its minor version: it may load, and answer otherwise.
    """
    here = {name.lower(): version for name, version in provenance.installed().items()}
    file = folder / "requirements.txt"
    if not file.is_file():
        return (Sentence("The model names no pins, so nothing says whether this environment fits it."),)
    notes = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name, _, wanted = line.partition("==")
        have = here.get(name.strip().lower())
        if not wanted or have == wanted.strip():
            continue
        told = (
            Sentence("%1 %2 made the model, %3 is installed here", name, wanted, have)
            if have
            else Sentence("%1 %2 made the model, none is installed here", name, wanted)
        )
        if name.lower() == "scikit-learn" and _minor(have) != _minor(wanted):
            install = f"pip install '{line.strip()}'"
            raise RefusedError(Sentence("%1.", told), Sentence("%1, or fit the model again.", install))
        notes.append(told)
    return tuple(notes)


def _minor(version: str | None) -> list[str]:
    return (version or "").strip().split(".")[:2]


@dataclass(frozen=True, slots=True)
class Consents:
    """What a model may do while it is loaded.

    Attributes:
        pickle: Be unpickled, which executes code.
        code: Bring code of its author along, which is executed.
    """

    pickle: bool = False
    code: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of requests and answers.

    Attributes:
        journal: Anything at all.
        values: The values of columns that look personal, too.
        contract: Whether requests are held against the contract that the version carries.
    """

    journal: bool = True
    values: bool = False
    contract: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What a version answers for beside the one that is live.

    Attributes:
        role: "canary" for some requests, "shadow" for all, unheard; "" takes the live one's place.
        percent: How many of a hundred requests a canary answers.
        alias: The alias that it follows there, or "".
    """

    role: Literal["", "canary", "shadow"] = ""
    percent: float = 0.0
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """What a version follows and what stands beside it, as the user wrote it.

    Attributes:
        follow: Whether aliases are followed.
        canary: How many of a hundred requests it answers beside the one that is live.
        shadow: A version or alias that answers unheard.
    """

    follow: bool = False
    canary: float | None = None
    shadow: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """Where an endpoint listens, and how it proves who it is.

    Attributes:
        host: The address; None for the endpoint's own.
        certificate: What it answers over TLS with; None for what the endpoint has.
    """

    host: str | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What only targets beyond this machine are told.

    Attributes:
        image: The container image that is to run.
        replicas: The fewest and the most copies.
        into: The folder to write to.
    """

    image: str | None = None
    replicas: tuple[int, int] | None = None
    into: Path | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a version shall be served: the options of the verb.

    Attributes:
        name: The endpoint's name; the model's by default.
        port: The port to listen on.
        workers: How many processes answer.
        follow: The alias that the endpoint follows from now on.
        consents: What the model may do while it is loaded.
        kept: What is kept of requests and answers.
        elsewhere: What only targets beyond this machine are told.
        share: What it answers for beside the version that is live.
        guard: Where it listens, and how it proves who it is.
        line: The line that asks for it, where a refusal shall name that and not one for this version alone.
    """

    name: str | None = None
    port: int | None = None
    workers: int = 1
    follow: str | None = None
    consents: Consents = Consents()
    kept: Kept = Kept()
    elsewhere: Elsewhere = Elsewhere()
    share: Share = Share()
    guard: Guard = Guard()
    line: str = ""


def request_for(version: ModelVersion, folder: Path, name: str, wanted: Wanted) -> Request:
    """Check the private copy of the files against what was registered, and write the request.

    Raises:
        NotFoundError: The version has no manifest.
        RefusedError: The files are not those that were registered.
        UsageError: No process shall answer.
    """
    if wanted.workers < 1:
        raise UsageError("At least one process must answer.", "Write --workers 1 or more.")
    address = f"{version.model}/{version.version}"
    if version.digest is None:
        raise NotFoundError(
            Sentence("%1 has no manifest.", address),
            Sentence("%1 completes it.", f"%mlops_register models:/{address}"),
        )
    if manifest.write(folder) != version.digest:
        raise RefusedError(
            Sentence("The files of %1 are not those that were registered: their sha256 differs.", address),
            Sentence("Somebody changed them. Register the model again from its run, or restore the files."),
        )
    _agreed(address, folder, wanted)
    example, answers = _example(version, folder, wanted), version.tags.get("mlops.example.predictions")
    return Request(
        name=name,
        model=version.model,
        version=version.version,
        digest=version.digest,
        model_path=folder,
        allow_pickle=wanted.consents.pickle,
        allow_code=wanted.consents.code,
        host=wanted.guard.host,
        port=wanted.port,
        certificate=wanted.guard.certificate,
        workers=wanted.workers,
        follow=wanted.follow,
        journal=wanted.kept.journal,
        log_values=wanted.kept.values,
        image=wanted.elsewhere.image,
        replicas=wanted.elsewhere.replicas,
        into=wanted.elsewhere.into,
        beside=wanted.share.role,
        percent=wanted.share.percent,
        beside_follows=wanted.share.alias,
        example=example,
        expected=json.loads(answers) if example is not None and answers else None,
    )


def _agreed(address: str, folder: Path, wanted: Wanted) -> None:
    """Refuse a model before anything is started, where what it needs was not agreed to."""
    where = f"{address.partition('/')[0]}@{wanted.follow} --follow" if wanted.follow else address
    consented = wanted.consents.pickle and wanted.consents.code
    foreign.check(folder, wanted.line or f"%mlops_deploy {where}", consented=consented)


def _example(version: ModelVersion, folder: Path, wanted: Wanted) -> bytes | None:
    """Find the request that the new version must answer: registering wrote it down unless it was too wide."""
    request = version.tags.get("mlops.example.request")
    if request is not None:
        return request.encode()
    agreed = wanted.consents
    loaded = load(folder, allow_pickle=agreed.pickle, allow_code=agreed.code, opens=pyfunc.opened)
    example = loaded.example
    return None if example is None else split_body(Frame.of(example, "the stored example"))


def without_private(request: Request, notes: tuple[str, ...]) -> tuple[Request, tuple[str, ...]]:
    """Leave the columns that look personal out of the journal, and say so.

    A model that came with a reference of its rows knows which ones do. Of one without it all texts are
    left out.

    Args:
        request: What is to be served.
        notes: What the user is told already.
    """
    file = request.model_path / reference.NAME
    if file.is_file():
        told = reference.Reference.from_json(file.read_bytes())
        names = tuple(column.name for column in told.columns if column.personal)
        why = Sentence("they look personal")
    else:
        names = _texts(request.model_path)
        why = Sentence("they are texts, and nothing says whether they are personal")
    if not names:
        return request, notes
    note = Sentence("The journal leaves out %1: %2. --log-values keeps them.", ", ".join(names), why)
    return replace(request, leave_out=names), (*notes, note)


def _texts(folder: Path) -> tuple[str, ...]:
    """Name the columns of texts that a model takes."""
    import yaml

    described = yaml.safe_load((folder / "MLmodel").read_bytes())
    found = schema.read(described.get("signature"), "inputs")
    return tuple(column.name for column in found.columns if column.type in _TEXTS) if found else ()


def share_of(canary: float | None, to: str, alias: str = "") -> Share:
    """Read how many of a hundred requests a canary gets.

    Args:
        canary: What was written.
        to: The target.
        alias: The alias that it follows, or "".

    Raises:
        UsageError: It is no such number, or the target has no canaries.
    """
    if canary is None:
        return Share()
    if not 0 < canary < 100:  # noqa: PLR2004 - percent
        raise UsageError(f"--canary {canary:g} is no share of the requests.", "Write --canary 10 for 10 %.")
    if to != "local":
        raise UsageError(f"The target {to} knows no canary.", "Leave --canary out, or use --to local.")
    return Share("canary", canary, alias)


def guard_of(host: str | None, certificate: Path | None, private_key: Path | None, to: str) -> Guard:
    """Read where an endpoint listens, and try the certificate with its key.

    Raises:
        UsageError: One of the two files is missing, or the address is none or needs a certificate.
        RefusedError: The key is not private, or the certificate does not do.
    """
    if host is None and certificate is None and private_key is None:
        return Guard()
    if to != "local":
        raise UsageError(
            f"The target {to} is guarded where it runs.",
            "Leave --host, --certificate and --private-key out; its ingress or gateway has them.",
        )
    if (certificate is None) != (private_key is None):
        raise UsageError(
            "A certificate and its key go together.", "Write --certificate FILE --private-key FILE."
        )
    tls = checked(certificate, private_key) if certificate and private_key else None
    return Guard(checked_host(host, tls=tls is not None) if host else None, tls)


def replicas_of(values: tuple[str, ...]) -> tuple[int, int] | None:
    """Read ``2`` or ``2,10``: the fewest and the most copies.

    Raises:
        UsageError: They are no such numbers.
    """
    if not values:
        return None
    numbers = [int(value) if value.strip().isascii() and value.strip().isdecimal() else 0 for value in values]
    if len(numbers) > 2 or not 1 <= numbers[0] <= numbers[-1]:  # noqa: PLR2004 - the fewest and the most
        raise UsageError(
            f"--replicas {','.join(values)[:40]!r} is no number of copies.",
            "Write --replicas 2, or --replicas 2,10 for the fewest and the most.",
        )
    return numbers[0], numbers[-1]


def line_of(model: str | ModelVersion, name: str | None, course: Course) -> str:
    """Write the line that asks for a deploy, as far as it says which version stands where.

    Args:
        model: The version, as it was written.
        name: The endpoint's name, where it was written.
        course: What is followed and what stands beside it.
    """
    words = ["%mlops_deploy", model if isinstance(model, str) else f"{model.model}/{model.version}"]
    words += ["--name", name] if name else []
    words += ["--canary", f"{course.canary:g}"] if course.canary is not None else []
    words += ["--shadow", course.shadow] if course.shadow is not None else []
    return " ".join([*words, "--follow"] if course.follow else words)
