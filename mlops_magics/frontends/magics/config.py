"""``%config MLOps``: settings that are kept for this kernel and the processes that it starts."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Float, Unicode, observe
from traitlets.config import Configurable

from mlops_magics.foundation.settings import remember


class MLOps(Configurable):
    """Settings of mlops-magics, for the rest of this kernel."""

    store = Unicode("", help="The MLflow tracking address; empty: SQLite at the project's root.").tag(
        config=True
    )
    artifacts = Unicode(
        "", help="Where the files of new experiments go, such as s3://bucket; empty: the store's own place."
    ).tag(config=True)
    experiment = Unicode("", help="The experiment that runs go to.").tag(config=True)
    standby = Bool(True, help="Whether a warm process may wait for a deployment.").tag(config=True)  # noqa: FBT003 - traitlets' way
    verify = Bool(True, help="Whether runs are proved in the background.").tag(config=True)  # noqa: FBT003 - same
    docs = Unicode(
        "", help="The address of the published documentation; empty: the pages that came with the package."
    ).tag(config=True)

    reserve = Float(
        60.0, help="Seconds for which the version before rests where an endpoint follows; 0: not at all."
    ).tag(config=True)

    @observe("store", "artifacts", "experiment", "standby", "verify", "docs", "reserve")
    def _remember(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        value = change["new"]
        remember(**{change["name"]: str(value).lower() if isinstance(value, bool | float) else value})
