"""Retrain: a model is made anew on fresh rows, and goes live only past the gates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain.asked import Alias, Asked, Engine
from mlops_magics.steps.retrain.attempting import alone, tried
from mlops_magics.steps.retrain.backtest import Backtest
from mlops_magics.steps.retrain.result import Retraining
from mlops_magics.steps.retrain.scheduling import Schedule, Scheduler, scheduled
from mlops_magics.tracking.store import open_store

__all__ = ["Backtest", "Retraining", "Schedule", "retrain"]


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
    debounce: str | None = None,
    timeout: str | None = None,
    watch: str | None = None,
    parameters: tuple[str, ...] = (),
    allow_env: tuple[str, ...] = (),
    engine: Engine = "local",
    force: bool = False,
    update: bool = False,
    allow_pickle: bool = False,
    allow_code: bool = False,
    backtest: tuple[str, ...] = (),
    schedule: Scheduler | None = None,
    every: str = "1d",
    into: Path | None = None,
    image: str | None = None,
    settings: Settings | None = None,
) -> Retraining | Backtest | Schedule:
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
        debounce: How long the condition must hold, at each look, before a retraining starts: ``15m``.
        timeout: The most time for the notebooks; 2h by default.
        watch: How long a new champion is watched at the endpoints that follow it; it is rolled back where it
            fails, breaks a rule of service or drifts. Not at all by default.
        parameters: Parameters of the notebook, ``depth=3,rate=0.1``; its cell tagged ``parameters`` must
            assign them.
        allow_env: Variables of the environment that the notebook is given beside the harmless ones, by
            name or as ``AWS_*``.
        engine: Where notebooks are executed: here, or as tasks of a Ray cluster (``RAY_ADDRESS``, or Ray on
            this machine).
        force: Execute all notebooks, also those of which nothing has changed since the last retraining.
        update: Go on from the champion's own model with the new rows (``partial_fit``), and execute no
            notebook.
        allow_pickle: Load and register models that are kept in pickle, which executes code.
        allow_code: Accept code that models bring along, and cells that are not sealed as your own.
        backtest: Retrain nothing: try these policies on the rows of ``--data``, window by window, and rank
            them: ``"never,weekly,monthly,on drift,on performance,auc < 0.8"``.
        schedule: Retrain nothing: write the files that let this scheduler run this very line.
        every: How often it does: ``15m``, ``6h``, ``1d``, ``7d``, or a cron expression.
        into: The folder to write these files to; below ``schedule`` of the project by default.
        image: The container image, for a scheduler that runs one.
        settings: Where the store is; found from the current folder by default.

    Returns:
        What came of it; with ``--backtest`` the policies, the best first; with ``--schedule`` the files. A
        command ends with 0 where it was done or rightly left out, with 3 where a gate refused the new version
        or it was rolled back, with 1 where it failed.

    Raises:
        MissingExtraError: ``engine`` is "ray", and Ray is not installed.
        MLOpsError: It failed, or the notebook did: the error's name, words and cell are in the message.
        NotFoundError: There is no such model, or no rows.
        RefusedError: The policy does not let a machine move the champion, or the cells are not your own.
        UsageError: An option is not understood.
    """
    return _done(dict(locals()))


def _done(said: Mapping[str, Any]) -> Retraining | Backtest | Schedule:
    """Do what the arguments of the verb, by name, ask for."""
    asked = Asked.of(said)
    settings = said["settings"] or Settings.discover()
    if said["schedule"] is not None:
        return scheduled(settings, said)
    store = open_store(settings)
    if said["backtest"]:
        return tried(store, asked, said["backtest"])
    return alone(store, asked)
