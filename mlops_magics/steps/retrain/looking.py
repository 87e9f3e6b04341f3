"""What is known of a model in use, as the monitor sees it."""

from __future__ import annotations

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.foundation.masking import masked
from mlops_magics.steps.monitor import monitor
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.marks import Table
from mlops_magics.steps.retrain.rows import Rows
from mlops_magics.steps.retrain.trigger import Look
from mlops_magics.steps.retrain.when import Facts
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking import alerts
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store


def open_alerts(store: Store, model: str) -> tuple[str, ...]:
    """List the keys of a model's open alerts."""
    return tuple(sorted(one.key for one in alerts.opened(store, model)))


def looker(store: Store, asked: Asked, base: ModelVersion, found: Rows, target: str) -> Look:
    """Make what looks at a model in use: at its endpoint, or at the new rows where it has none here.

    Args:
        store: The open store.
        asked: What was asked.
        base: The version in use.
        found: The fresh rows.
        target: The column that is predicted.
    """

    def look() -> Facts:
        endpoint = _endpoint(store, asked.model)
        if endpoint is not None:
            return monitor(endpoint, window=asked.window, alarm=asked.alarm, settings=store.settings).facts()
        rows, cursor = _new_rows(found, asked), found.fresh.mark if found.fresh is not None else None
        timed = cursor is not None and cursor.kind == "time"
        return monitor(
            f"{base.model}/{base.version}",
            data=rows,
            time=asked.cursor if timed else None,
            target=target,
            allow_pickle=asked.allow_pickle,
            allow_code=asked.allow_code,
            window=asked.window,
            alarm=asked.alarm,
            settings=store.settings,
        ).facts()

    return look


def _endpoint(store: Store, model: str) -> str | None:
    """Find the endpoint of this machine that serves a model: the one of its name, else any that answers."""
    known = LocalTarget(store.settings, masked(store.settings.store)).list()
    mine = [one.name for one in known if one.model == model and one.journal is not None]
    return next(iter(sorted(mine, key=lambda name: (name != model, name))), None)


def _new_rows(found: Rows, asked: Asked) -> Table:
    import pandas as pd

    if found.fresh is None:
        raise NotFoundError(
            f"{asked.model} has no endpoint here with a journal.",
            "Deploy it, or say where new rows are: --data PATH.",
        )
    if asked.everything:  # then most of what it is trained on is not new
        return found.fresh.recent
    return pd.concat([found.fresh.train, found.fresh.recent])
