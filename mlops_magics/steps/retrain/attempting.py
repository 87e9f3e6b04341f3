"""One retraining at a time, where it is due and nothing speaks against it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.locks import try_lock
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.moments import Moment
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.steps.retrain import recovering, rows, source
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.backtest import Backtest, Replay, backtested, windows_of
from mlops_magics.steps.retrain.columns import columns_of
from mlops_magics.steps.retrain.flow import Flow
from mlops_magics.steps.retrain.judging import FEWEST, may_be_moved, target_of
from mlops_magics.steps.retrain.ledger import BUSY, WAITING, in_the_way, note_future, waiting
from mlops_magics.steps.retrain.looking import looker, open_alerts
from mlops_magics.steps.retrain.result import Retraining, sentence
from mlops_magics.steps.retrain.trigger import due
from mlops_magics.tracking import registry, retrainings, subject
from mlops_magics.tracking.leases import BusyError, Held, leased
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.retrainings import Beginning
from mlops_magics.tracking.store import Store

_CHAMPION = "champion"


def tried(store: Store, asked: Asked, policies: tuple[str, ...]) -> Backtest:
    """Try policies on the rows of the source, with models like the champion's.

    Args:
        store: The open store.
        asked: What was asked.
        policies: The policies, as they were written.

    Raises:
        NotFoundError: The rows lack a column that the champion takes.
        UsageError: There is no cursor, a policy is not understood, or there are too few rows.
    """
    if asked.cursor is None:
        raise UsageError("A back-test goes by time.", "Name the column that grows with it: --cursor COLUMN.")
    base = _champion(store, asked.model) or registry.resolve(store, ModelAddress(asked.model))
    consents = {"allow_pickle": asked.allow_pickle, "allow_code": asked.allow_code}
    opened = subject.opened(store, subject.of_version(base), **consents)
    target, frame = target_of(store, asked, base), source.rows(asked.data)
    parts = windows_of(frame, asked.cursor, target, seconds(asked.window, "--window"))
    features = columns_of(opened, frame, (target, asked.cursor))
    replay = Replay(opened.estimator, target, features, asked.everything)
    return backtested(asked.model, replay, policies, parts)


def alone(store: Store, asked: Asked) -> Retraining:
    """Retrain while nobody else does; who comes second is told so.

    Args:
        store: The open store.
        asked: What was asked.

    Raises:
        RefusedError: The model's policy does not let a machine move the champion.
    """
    may_be_moved(store, asked)
    beginning = Beginning(asked.condition or "asked for", condition=asked.condition)
    try:
        with (
            _locked(store, asked.model),
            leased(store, asked.model, recovering.PURPOSE, beginning.id) as held,
        ):
            recovering.recover(store, asked.model)
            return _begun(store, asked, held, beginning)
    except BusyError as error:
        return _left_out(store, asked, beginning, (BUSY, error.what))


@contextlib.contextmanager
def _locked(store: Store, model: str) -> Iterator[None]:
    """Keep other processes of this user out; the lock goes with the process, whatever the store says."""
    mark = hashlib.sha256(f"{store.uri}\0{model}".encode()).hexdigest()[:16]
    file = try_lock(private_folder(store.settings.state / "locks") / f"retrain-{mark}")
    if file is None:
        raise BusyError(f"A retraining of {model} is under way on this machine.", "Wait until it has ended.")
    with file:
        yield


def _begun(store: Store, asked: Asked, held: Held, beginning: Beginning) -> Retraining:
    """Retrain where nothing speaks against it and it is due."""
    done = retrainings.attempts(store, asked.model)
    note_future(store, done)
    if why := in_the_way(asked.limits, done, open_alerts(store, asked.model)):
        return _left_out(store, asked, beginning, ("limits", why))
    champion = _champion(store, asked.model)
    base = champion or registry.resolve(store, ModelAddress(asked.model))
    target = target_of(store, asked, base)
    found = rows.gathered(store, asked, base, target)
    told = due(asked, base, found, looker(store, asked, base, found, target))
    answers = open_alerts(store, asked.model)
    beginning = replace(beginning, reason=told.because, answers=answers, alias=asked.promote)
    if why := _too_few(asked, found) if told.due else told.because:
        return _left_out(store, asked, beginning, ("rows" if told.due else "not due", why), found)
    if asked.debounce:
        since, why = waiting(asked.debounce, done, masked(asked.condition))
        if why:
            why = f"{told.because}: {why}"
            return _left_out(store, asked, beginning, (WAITING, why), found, since=since)
    return _gone(
        store,
        asked,
        held,
        versions=(base, champion),
        target=target,
        found=found,
        beginning=beginning,
    )


def _gone(
    store: Store,
    asked: Asked,
    held: Held,
    *,
    versions: tuple[ModelVersion, ModelVersion | None],
    target: str,
    found: rows.Rows,
    beginning: Beginning,
) -> Retraining:
    attempt = retrainings.begin(store, asked.model, beginning)
    try:
        rows.keep(store, asked, found)
    except MLOpsError as error:
        with contextlib.suppress(MLOpsError):  # the store is what fails
            retrainings.end(store, attempt, "failed", error.what)
        raise
    base, champion = versions
    flow = Flow(
        store=store,
        asked=asked,
        base=base,
        champion=champion,
        target=target,
        fresh=found.fresh,
        holdouts=found.holdouts,
        held=held,
        attempt=attempt,
    )
    return flow.go()


def _champion(store: Store, model: str) -> ModelVersion | None:
    if _CHAMPION not in registry.aliases_of(store, model):
        return None
    return registry.resolve(store, ModelAddress(model, alias=_CHAMPION))


def _too_few(asked: Asked, found: rows.Rows) -> str:
    """Say that there is nothing to train on, or ""."""
    if found.fresh is None:
        return ""
    if not len(found.fresh.train):
        return f"of {found.fresh.counts.new} new rows none is left to train on beside the holdouts"
    if asked.promote != "candidate" and not any(len(one.rows) >= FEWEST for one in found.holdouts):
        return f"{found.fresh.counts.new} new rows are too few to hold {FEWEST} of them out"
    return ""


def _left_out(
    store: Store,
    asked: Asked,
    beginning: Beginning,
    because: tuple[str, str],
    found: rows.Rows | None = None,
    *,
    since: Moment | None = None,
) -> Retraining:
    """Write down that it was left out, and why: which kind of reason it is, and its words."""
    kind, why = because
    attempt = retrainings.skip(store, asked.model, beginning, kind, why, since=since)
    return Retraining(
        asked.model,
        "skipped",
        sentence(why),
        id=attempt.id,
        record=attempt.record,
        counts=None if found is None or found.fresh is None else found.fresh.counts,
    )
