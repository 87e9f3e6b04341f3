"""What is known of a model in use, as the monitor sees it."""

from __future__ import annotations

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.trigger import Look
from mlops_magics.steps.retrain.when import Facts
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import Store


def open_alerts(store: Store, model: str) -> tuple[str, ...]:
    """List the keys of a model's open alerts."""
    prefix = "mlops.alert."
    return tuple(
        sorted(key.removeprefix(prefix) for key in registry.tags_of(store, model) if key.startswith(prefix))
    )


def looker(_: Store, asked: Asked) -> Look:
    """Make what looks at a model's endpoints."""

    def look() -> Facts:
        raise NotFoundError(f"Nobody looks at {asked.model}.", f"%mlops_monitor {asked.model} does.")

    return look
