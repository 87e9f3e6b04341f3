"""Monitor: what comes to an endpoint, whether it drifts, how good the answers are, and what to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UnavailableError, UsageError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.html import page as page_of
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.deploy.result import Deployment
from mlops_magics.steps.monitor import fleet, keeping, prometheus, sending, watched
from mlops_magics.steps.monitor.fleet import Fleet
from mlops_magics.steps.monitor.looking import Asked, look
from mlops_magics.steps.monitor.result import Monitoring
from mlops_magics.tracking.alerts import Alert, Settled
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store, open_store

__all__ = ["Alert", "Fleet", "Monitoring", "monitor"]


@dataclass(frozen=True, slots=True)
class _Out:
    """Where a look is written and sent.

    Attributes:
        page: The HTML page.
        prometheus: The file in Prometheus' text form.
        webhook: The address that alerts are sent to.
        alerts: The file that alerts are added to.
    """

    page: Path | None = None
    prometheus: Path | None = None
    webhook: str | None = None
    alerts: Path | None = None


@overload
def monitor(
    model: None = None,
    *,
    all: bool,
    window: str = "1h",
    alarm: str = "1/month",
    since: str = "7d",
    page: Path | None = None,
    prometheus: Path | None = None,
    settings: Settings | None = None,
) -> Fleet: ...
@overload
def monitor(
    model: str | Deployment | ModelVersion,
    *,
    data: object = None,
    time: str | None = None,
    window: str = "1h",
    alarm: str = "1/month",
    since: str = "7d",
    usual: str | None = None,
    labels: object = None,
    target: str | None = None,
    page: Path | None = None,
    prometheus: Path | None = None,
    webhook: str | None = None,
    alerts: Path | None = None,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Monitoring: ...
def monitor(  # noqa: PLR0913 - one verb and its options
    model: str | Deployment | ModelVersion | None = None,
    *,
    data: object = None,
    time: str | None = None,
    window: str = "1h",
    alarm: str = "1/month",
    since: str = "7d",
    usual: str | None = None,
    labels: object = None,
    target: str | None = None,
    all: bool = False,  # noqa: A002 - the option's name
    page: Path | None = None,
    prometheus: Path | None = None,
    webhook: str | None = None,
    alerts: Path | None = None,
    allow_pickle: bool = False,
    allow_code: bool = False,
    settings: Settings | None = None,
) -> Monitoring | Fleet:
    """Look at what comes to an endpoint, or at rows of a table: traffic, drift, performance, and alerts.

    An endpoint's journal is read by windows of time; those that were read before are not read again. Each
    window's rows are compared with those that the version was fitted on, of which a sketch is kept with it;
    how good the answers were is measured where labels have come, and estimated before, where the
    evaluation found that the probabilities mean what they say. Alerts say what, how far, since when, where
    most of it lies and what may be behind it, stay open until it is quiet, and are kept with the model.

    Each look is logged to MLflow: one run for each version and endpoint, with a point a window.

    Args:
        model: The endpoint's name. With ``--data``: a version, ``flights@champion`` or ``flights/3``; a
            bare name means its champion.
        data: Rows to look at in place of a journal: a DataFrame, or the path of a CSV or parquet file.
        time: The column of these rows that tells when each was; without it all of them are one window.
        window: How long a window is: ``1h``, ``1d``, ``7d``.
        alarm: How many false alarms you bear, ``1/month``, ``2/week``; the thresholds are solved for it.
        since: How far back the journal is looked at.
        usual: How much of the time that is looked at, from its beginning, counts as usual: thresholds are
            raised to what was normal then, and tried on it.
        labels: What became of the answers: a table with ``request_id``, and ``row`` where a request had
            several rows in another order.
        target: The column of the labels, or of the rows, that holds the truth.
        all: Look at every endpoint and every version that an alias points to, in short.
        page: Write all of it to this HTML file.
        prometheus: Write the numbers to this file, in Prometheus' text form.
        webhook: Send new alerts, and those that are over, to this address, signed with the secret in
            ``MLOPS_WEBHOOK_SECRET`` or in ``keys/webhook`` of the state folder.
        alerts: Add new alerts, and those that are over, to this file, one JSON object a line.
        allow_pickle: Load a model that is kept in pickle, which executes code; only ``--data`` loads one.
        allow_code: Load a model that brings code of its author along, which executes it.
        settings: Where the store is; found from the current folder by default.

    Returns:
        A Monitoring; ``.alerts`` has the alerts, and a command ends with 1 where there are any. With
        ``--all`` a Fleet.

    Raises:
        NotFoundError: There is no such endpoint, version or column, or the endpoint keeps no journal.
        UsageError: An option cannot be read, or a file cannot be written.
        RefusedError: Others may change the user's own configuration, which names a command.
    """
    settings = settings or Settings.discover()
    asked = Asked(
        seconds=seconds(window, "--window"),
        since=seconds(since, "--since"),
        budget=alarm,
        usual=0.0 if usual is None else seconds(usual, "--usual"),
        data=data,
        time=time,
        labels=labels,
        target=target,
        consents=(allow_pickle, allow_code),
    )
    out = _Out(page, prometheus, webhook, alerts)
    store = open_store(settings)
    if all:
        return _fleet(store, model, asked, out)
    return _one(store, _named(model), asked, out)


def _named(model: str | Deployment | ModelVersion | None) -> str | ModelVersion:
    if model is None:
        raise UsageError("Which endpoint?", "%mlops_monitor NAME, or %mlops_monitor --all for every one.")
    return model.name if isinstance(model, Deployment) else model


def _one(store: Store, model: str | ModelVersion, asked: Asked, out: _Out) -> Monitoring:
    if asked.data is not None and asked.labels is not None:
        raise UsageError("Labels belong to a journal.", "Of a table name the column of the truth: --target.")
    if asked.data is None and asked.time is not None:
        raise UsageError("--time names a column of --data.", "A journal knows when each request came.")
    if asked.data is None:
        name = model if isinstance(model, str) else model.model
        found = watched.endpoint(store, name)
    else:
        found = watched.registered(store, model)
    seen, changed = keeping.settled(store, found, look(store, found, asked))
    seen = keeping.kept(store, found, seen, changed)
    seen = replace(seen, sent=_sent(store.settings, found.version.model, changed, out))
    if out.prometheus is not None:
        prometheus.written(out.prometheus, [seen])
    _write(out.page, f"Monitor {seen.place}", seen)
    return seen


def _fleet(store: Store, model: object, asked: Asked, out: _Out) -> Fleet:
    if model is not None or asked.data is not None or asked.labels is not None:
        raise UsageError("--all looks at every endpoint.", "Leave the name and the rows out.")
    seen = keeping.kept_all(store, fleet.look(store, asked))
    if out.prometheus is not None:
        prometheus.written(out.prometheus, seen.every)
    _write(out.page, "All models", seen)
    return seen


def _sent(settings: Settings, model: str, changed: Settled, out: _Out) -> tuple[sending.Sent, ...]:
    """Send what changed; what was told before is not told again."""
    if not (changed.new or changed.over):
        return ()
    body = sending.body_of(model, changed.new, changed.over)
    done = [sending.executed(body, settings)]
    if out.webhook is not None:
        done.append(sending.posted(out.webhook, body, settings))
    if out.alerts is not None:
        done.append(sending.appended(out.alerts, body))
    return tuple(one for one in done if one is not None)


def _write(path: Path | None, title: str, seen: Monitoring | Fleet) -> None:
    if path is None:
        return
    try:
        write_atomic(path, page_of(title, seen.blocks()))
    except UnavailableError as error:
        raise UsageError(error.what, "Choose another file with --page.") from error
