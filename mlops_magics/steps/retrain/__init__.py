"""Retrain: a model is made anew on fresh rows, and goes live only past the gates."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.names import ModelAddress, checked_name
from mlops_magics.foundation.platform import private_folder, try_lock
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain import recovering, rows, source
from mlops_magics.steps.retrain.asked import (
    Alias,
    Asked,
    condition_of,
    limits_of,
    parameters_of,
    time_of,
)
from mlops_magics.steps.retrain.backtest import Backtest, Replay, backtested, windows_of
from mlops_magics.steps.retrain.flow import Flow
from mlops_magics.steps.retrain.judging import FEWEST, may_be_moved, target_of
from mlops_magics.steps.retrain.ledger import in_the_way, note_future
from mlops_magics.steps.retrain.looking import looker, open_alerts
from mlops_magics.steps.retrain.result import Retraining, sentence
from mlops_magics.steps.retrain.trigger import due
from mlops_magics.tracking import registry, retrainings, subject
from mlops_magics.tracking.leases import BusyError, Held, leased
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.retrainings import Beginning
from mlops_magics.tracking.store import Store, open_store

__all__ = ["Backtest", "Retraining", "retrain"]

_CHAMPION = "champion"


def retrain(  # noqa: PLR0913 - one verb and its options
    model: str,
    *,
    notebook: tuple[str, ...] = (),
    data: object = None,
    cursor: str | None = None,
    after: str | None = None,
    all_rows: bool = False,
    target: str | None = None,
    holdout: object = None,
    refreeze: bool = False,
    when: str | None = None,
    window: str = "1h",
    alarm: str = "1/month",
    promote: Alias = "challenger",
    cooldown: str | None = None,
    budget: str | None = None,
    timeout: str | None = None,
    watch: str | None = None,
    parameters: tuple[str, ...] = (),
    allow_env: tuple[str, ...] = (),
    update: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    backtest: tuple[str, ...] = (),
    settings: Settings | None = None,
) -> Retraining | Backtest:
    """Retrain a model on the rows that came since, where it is due, and promote it past the gates.

    The notebook, or the cells that made the champion, are executed headless in a process of their own. The
    run that comes of it is registered, evaluated beside the champion on a frozen and on a recent holdout, and
    promoted where the gates and the model's policy let it. One retraining of a model runs at a time. What is
    left out is written down with its reason, and so is each attempt, with its executed notebook.

    Args:
        model: The registered model's name.
        notebook: The notebooks to execute, in this order; by default the cells that made the champion.
        data: Where fresh rows come from: a table, a CSV or parquet file, a pattern such as
            ``"new/*.parquet"``, or a query (``SELECT ...``). The path of the rows to train on is given to the
            notebook's parameter ``data``.
        cursor: The column of these rows that grows with time: a time, a number, or an ISO date. Only rows
            above the watermark of the champion are new.
        after: The cursor's highest value that the champion was trained on, where it has no watermark.
        all_rows: Train on all rows up to now, not on the new ones alone.
        target: The column that is predicted; that of the champion's evaluation by default.
        holdout: Rows to judge by, in place of the frozen holdout that is drawn from the fresh rows.
        refreeze: Let the frozen holdout be another one from now on.
        when: Retrain only if this holds: ``"drift or age > 7d or auc < 0.8"``, ``"rows > 10000"``,
            ``"new data"``. Without it, now, if there are new rows.
        window: By which length of time the monitor counts, for ``drift`` and metrics in the condition.
        alarm: How many false alarms you bear there.
        promote: The alias that the new version is for. The champion takes a policy with ``machine = true``.
        cooldown: The least time between two retrainings; 1d by default where ``--when`` is said, else none.
        budget: The most retrainings in a span; 4/week by default where ``--when`` is said, else any.
        timeout: The most time for the notebooks; 2h by default.
        watch: How long a new champion is watched at the endpoints that follow it; it is rolled back where it
            goes wrong. Not at all by default.
        parameters: Parameters of the notebook, ``depth=3,rate=0.1``; its cell tagged ``parameters`` must
            assign them.
        allow_env: Variables of the environment that the notebook is given beside the harmless ones, by
            name or as ``AWS_*``.
        update: Go on from the champion's own model with the new rows (``partial_fit``), and execute no
            notebook.
        allow_pickle: Load and register models that are kept in pickle, which executes code.
        allow_code: Accept code that models bring along, and cells that are not sealed as your own.
        backtest: Retrain nothing: try these policies on the rows of ``--data``, window by window, and rank
            them: ``"never,weekly,monthly,on drift,on performance,auc < 0.8"``.
        settings: Where the store is; found from the current folder by default.

    Returns:
        What came of it; with ``--backtest`` the policies, the best first. A command ends with 0 where it was
        done or rightly left out, with 3 where a gate refused the new version or it was rolled back, with 1
        where it failed.

    Raises:
        MLOpsError: It failed, or the notebook did: the error's name, words and cell are in the message.
        NotFoundError: There is no such model, or no rows.
        RefusedError: The policy does not let a machine move the champion, or the cells are not your own.
        UsageError: An option is not understood.
    """
    asked = Asked(
        model=checked_name(model, "model"),
        notebooks=tuple(map(Path, notebook)),
        data=data,
        cursor=cursor,
        after=after,
        everything=all_rows,
        target=target,
        holdout=holdout,
        refreeze=refreeze,
        when=condition_of(when),
        condition=when or "",
        window=window,
        alarm=alarm,
        promote=promote,
        limits=limits_of(cooldown, budget, unattended=when is not None),
        timeout=time_of(timeout, "--timeout", 7_200.0),
        watch=time_of(watch, "--watch", 0.0),
        parameters=parameters_of(parameters),
        allow_env=allow_env,
        update=update,
        allow_pickle=allow_pickle,
        allow_code=allow_code,
    )
    store = open_store(settings or Settings.discover())
    if backtest:
        return _tried(store, asked, backtest)
    may_be_moved(store, asked)
    return _alone(store, asked)


def _tried(store: Store, asked: Asked, policies: tuple[str, ...]) -> Backtest:
    """Try policies on the rows of the source, with models like the champion's."""
    if asked.cursor is None:
        raise UsageError("A back-test goes by time.", "Name the column that grows with it: --cursor COLUMN.")
    base = _champion(store, asked.model) or registry.resolve(store, ModelAddress(asked.model))
    consents = {"allow_pickle": asked.allow_pickle, "allow_code": asked.allow_code}
    estimator = subject.loaded(store, subject.of_version(base), **consents)
    target = target_of(store, asked, base)
    parts = windows_of(source.rows(asked.data), asked.cursor, target, seconds(asked.window, "--window"))
    return backtested(asked.model, Replay(estimator, target, asked.cursor, asked.everything), policies, parts)


def _alone(store: Store, asked: Asked) -> Retraining:
    """Retrain while nobody else does."""
    beginning = Beginning(asked.condition or "asked for")
    try:
        with (
            _locked(store, asked.model),
            leased(store, asked.model, recovering.PURPOSE, beginning.id) as held,
        ):
            recovering.recover(store, asked.model)
            return _begun(store, asked, held, beginning)
    except BusyError as error:
        return _left_out(store, asked, beginning, ("busy", error.what))


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
    told = due(asked, base, found.facts, looker(store, asked, base, found, target))
    beginning = Beginning(told.because, open_alerts(store, asked.model), asked.promote, beginning.id)
    if why := _too_few(asked, found) if told.due else told.because:
        return _left_out(store, asked, beginning, ("rows" if told.due else "not due", why), found)
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
    rows.keep(store, asked, found)
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
) -> Retraining:
    """Write down that it was left out, and why: which kind of reason it is, and its words."""
    kind, why = because
    attempt = retrainings.skip(store, asked.model, beginning, kind, why)
    return Retraining(
        asked.model,
        "skipped",
        sentence(why),
        id=attempt.id,
        record=attempt.record,
        counts=None if found is None or found.fresh is None else found.fresh.counts,
    )
