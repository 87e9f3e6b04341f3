"""Deploy: a registered version becomes a live, token-guarded REST endpoint, or files for one elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.desk import Ask, Desk, Told
from mlops_magics.steps.deploy.facts import Consents, Course, Elsewhere, Kept, Wanted, guard_of, replicas_of
from mlops_magics.steps.deploy.result import Deployment, Listing, Plan, Removal, Written
from mlops_magics.steps.deploy.tokens import Tokens
from mlops_magics.steps.deploy.traffic import Traffic
from mlops_magics.steps.deploy.unit import Unit
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking.records import ModelVersion

__all__ = ["Deployment", "Listing", "Plan", "Removal", "Tokens", "Traffic", "Unit", "Written", "deploy"]


class Options(TypedDict, total=False):
    """How a version shall be served: what a deploy may say beside what and where."""

    name: str | None
    host: str | None
    port: int | None
    certificate: Path | None
    private_key: Path | None
    workers: int
    image: str | None
    replicas: tuple[str, ...]
    into: Path | None
    follow: bool
    canary: float | None
    shadow: str | None
    contract: bool
    journal: bool
    log_values: bool
    allow_pickle: bool
    allow_code: bool
    standby: Standby | None


@overload
def deploy(model: None = None, *, to: str = "local", settings: Settings | None = None) -> Listing: ...
@overload
def deploy(model: str, *, to: str = "local", traffic: str, settings: Settings | None = None) -> Traffic: ...
@overload
def deploy(
    model: str, *, to: str = "local", tokens: Literal[True], settings: Settings | None = None
) -> Tokens: ...
@overload
def deploy(
    model: str,
    *,
    to: str = "local",
    grant: str,
    scopes: tuple[str, ...] = (),
    revoke: str | None = None,
    settings: Settings | None = None,
) -> Tokens: ...
@overload
def deploy(model: str, *, to: str = "local", revoke: str, settings: Settings | None = None) -> Tokens: ...
@overload
def deploy(model: str, *, to: str = "local", unit: Path, settings: Settings | None = None) -> Unit: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str = "local",
    into: Path | None = None,
    remove: Literal[True],
    settings: Settings | None = None,
) -> Removal: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: str = "local",
    plan: Literal[True],
    settings: Settings | None = None,
    **options: Unpack[Options],
) -> Plan: ...
@overload
def deploy(
    model: str | ModelVersion,
    *,
    to: Literal["local"] = "local",
    settings: Settings | None = None,
    **options: Unpack[Options],
) -> Deployment: ...
@overload
def deploy(
    model: str | ModelVersion, *, to: str, settings: Settings | None = None, **options: Unpack[Options]
) -> Deployment | Written: ...
def deploy(  # noqa: PLR0913 - one verb and its options
    model: str | ModelVersion | None = None,
    *,
    to: str = "local",
    name: str | None = None,
    host: str | None = None,
    port: int | None = None,
    certificate: Path | None = None,
    private_key: Path | None = None,
    workers: int = 1,
    image: str | None = None,
    replicas: tuple[str, ...] = (),
    into: Path | None = None,
    follow: bool = False,
    canary: float | None = None,
    shadow: str | None = None,
    contract: bool = False,
    plan: bool = False,
    remove: bool = False,
    traffic: str | None = None,
    tokens: bool = False,
    grant: str | None = None,
    scopes: tuple[str, ...] = (),
    revoke: str | None = None,
    unit: Path | None = None,
    journal: bool = True,
    log_values: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
    standby: Standby | None = None,
) -> Told:
    """Put a registered version behind a REST endpoint, here or elsewhere; list the endpoints; remove one.

    The endpoint speaks MLflow's scoring protocol and the Open Inference Protocol, describes itself at
    ``/docs``, checks each value against the model's signature, and asks for a token, which lies in a file
    that only you can read; ``%mlops_predict`` reads it there. It listens on this machine only and outlives
    the notebook. Deploying to a name that is live swaps the version without losing a request, and keeps
    address and token. Where it can, the pipeline is compiled, which answers in microseconds; it is used
    only where it answers as the pipeline itself does.

    The endpoint keeps a journal: requests, answers, versions and timings, as parquet files of this machine,
    for 30 days and up to 2 GB. Columns that look personal are left out of it.

    Other targets write files to ``deploy/<name>/<target>`` of the project and say which commands follow;
    they run none.

    Args:
        model: ``flights@champion``, ``flights/3``, or ``flights`` for its champion. Nothing: list the
            endpoints. With ``--remove``, ``--traffic``,
            ``--tokens``, ``--grant``, ``--revoke`` and ``--unit``: the endpoint's name.
        to: The serving target: local, or what writes files, such as container; or an MLflow
            deployment plugin that is installed.
        name: The endpoint's name; the model's by default.
        host: The address to listen at, ``0.0.0.0`` for all of this machine's. Beyond loopback it takes a
            certificate.
        port: The port to listen on; a free one by default, kept when the endpoint is deployed again.
        certificate: A PEM file with the certificate that the endpoint answers over TLS with. It is read
            again when it is renewed.
        private_key: The PEM file with its key, readable for you alone.
        workers: How many processes answer.
        image: The container image, for a target that names one.
        replicas: How many copies run, ``2``, or the fewest and the most, ``2,10``, for a target that
            runs several.
        into: The folder that files are written to, in place of the project's own.
        follow: Follow the alias: where it points to another version, that one takes over by itself once it
            has answered its example. Deploying without this ends it. With ``--canary`` or ``--shadow`` the
            version beside it follows its alias as well.
        canary: Let this version answer so many of a hundred requests beside the one that is live. Requests
            with the same ``X-Sticky-Key`` always go the same way. What it cannot answer, the live one does;
            where it surely fails more often, it gets no more.
        shadow: A version or alias, ``@challenger``, that answers every request as well, without being heard:
            the journal has its answers.
        contract: Hold each request against the data contract that the version carries: what breaks it is
            refused, naming column and rule.
        plan: Show what would change, and change nothing.
        remove: Take the endpoint away, and end its processes; its journal stays. Of files, delete those that
            were written.
        traffic: Show what came in this time up to now and what was answered: ``10m``, ``2h``, ``7d``.
        tokens: List the endpoint's tokens: whose they are and what they open.
        grant: Make a token for somebody by name; its value goes to a file that only you can read.
        scopes: What that token opens: ``predict`` (the default), ``read`` for metrics and descriptions, or
            ``admin`` for both.
        revoke: Take somebody's token back: from the next request on it opens nothing.
        unit: Write a systemd user unit to this folder, by which the endpoint is there again after a restart
            of the machine.
        journal: Keep requests and answers.
        log_values: Keep the values of columns that look personal, too.
        allow_pickle: Load a model that is kept in pickle, which executes code.
        allow_code: Load a model that brings code of its author along, which executes it.
        settings: Where the store is; found from the current folder by default.
        standby: The process that waits for a deployment, where there is one.

    Returns:
        A Deployment; Written where files are all there is; a Plan with ``--plan``; a Listing without a
        model; a Removal; Tokens; a Unit; or with ``--traffic`` the Traffic, whose ``.frame`` has every line.

    Raises:
        NotFoundError: There is no such version, champion, endpoint or target.
        RefusedError: The files are not those that were registered, or need a consent, or another
            scikit-learn than the one installed here; or what was written was changed by hand.
        UnavailableError: The port is taken, or the endpoint does not answer correctly; what was live
            before is live still.
    """
    desk = Desk.open(to, settings)
    if told := desk.told(model, Ask(remove, plan, into, traffic, tokens, grant, scopes, revoke, unit)):
        return told
    kept, elsewhere = Kept(journal, log_values, contract), Elsewhere(image, replicas_of(replicas), into)
    consents, guard = Consents(allow_pickle, allow_code), guard_of(host, certificate, private_key, to)
    wanted = Wanted(name, port, workers, None, consents, kept, elsewhere, guard=guard)
    return desk.served(model or "", wanted, Course(follow, canary, shadow), plan=plan, standby=standby)
