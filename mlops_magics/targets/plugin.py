"""Any other deployment plugin of MLflow's as a target: what it does, and where, is its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NoReturn

import orjson

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Answer, Difference, Endpoint, Request
from mlops_magics.targets.standby import Standby
from mlops_magics.tracking.deployments import Plugin

_OK = 200


class PluginTarget:
    """Serves models where an MLflow deployment plugin does.

    Args:
        settings: The settings.
        store: The store's shown address.
        name: The plugin's name, or an address that begins with it.
    """

    def __init__(self, settings: Settings, store: str, name: str) -> None:
        self._plugin = Plugin(name, settings.store)
        self._store = store
        self._name = name

    def plan(self, request: Request) -> tuple[Difference, ...]:
        """Say whether the deployment is new. What it serves now, a plugin does not say."""
        self._fits(request)
        known = checked_name(request.name, "endpoint") in self._plugin.names()
        told = f"{request.model}, version {request.version}"
        return (Difference("changed" if known else "added", "deployment", after=told),)

    def deploy(self, request: Request, *, standby: Standby | None = None) -> Endpoint:
        """Let the plugin deploy the registered version.

        Args:
            request: What is to be served.
            standby: Not used.

        Returns:
            The deployment, as far as it is known.

        Raises:
            UsageError: The name or an option does not fit.
            MLOpsError: The plugin failed.
        """
        del standby
        self._fits(request)
        name = checked_name(request.name, "endpoint")
        said = self._plugin.create(name, f"models:/{request.model}/{request.version}")
        return self._endpoint(name, str(said.get("url", "")), request.model, request.version)

    def remove(self, name: str, *, into: Path | None = None) -> Endpoint:
        """Let the plugin take a deployment away.

        Args:
            name: The deployment.
            into: Not taken: a plugin writes nothing for the user.

        Raises:
            NotFoundError: There is none of this name.
            UsageError: A folder was named.
        """
        if into is not None:
            self._refuse("--into")
        self._known(name)
        self._plugin.delete(name)
        return self._endpoint(name)

    def list(self) -> tuple[Endpoint, ...]:
        """List the plugin's deployments by name."""
        return tuple(self._endpoint(name) for name in sorted(self._plugin.names()))

    def call(self, name: str, body: bytes, *, content_type: str = "application/json") -> Answer:
        """Ask a deployment through the plugin.

        Args:
            name: The deployment.
            body: A request's body, as ``%mlops_predict`` writes it.
            content_type: Not used: it is JSON.

        Raises:
            NotFoundError: There is no deployment of this name.
            MLOpsError: The plugin failed.
        """
        import pandas as pd

        del content_type
        self._known(name)
        request = orjson.loads(body)
        if "params" in request:
            raise UsageError(
                f"The plugin {self._name} cannot be asked for probabilities.", "Leave --proba out."
            )
        told = request["dataframe_split"]
        begun = time.perf_counter()
        values = self._plugin.predict(name, pd.DataFrame(told["data"], columns=told["columns"]))
        content = orjson.dumps({"predictions": values}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Answer(_OK, content, {}, time.perf_counter() - begun)

    def _fits(self, request: Request) -> None:
        """Refuse what a plugin cannot be told."""
        told = {
            "--into": request.into,
            "--image": request.image,
            "--replicas": request.replicas,
            "--port": request.port,
            "--workers": None if request.workers == 1 else request.workers,
        }
        for option, value in told.items():
            if value is not None:
                self._refuse(option)

    def _refuse(self, option: str) -> NoReturn:
        raise UsageError(
            f"The plugin {self._name} cannot be told {option}.", f"Leave {option} out; set it where it runs."
        )

    def _known(self, name: str) -> None:
        known = self._plugin.names()
        if checked_name(name, "endpoint") not in known:
            raise NotFoundError(
                f"{self._name} has no deployment {name}.",
                nearest(name, known) or f"Make one with %mlops_deploy MODEL --to {self._name}.",
            )

    def _endpoint(self, name: str, url: str = "", model: str = "", version: str = "") -> Endpoint:
        return Endpoint(
            name=name,
            url=url,
            model=model,
            version=version,
            port=0,
            pid=0,
            started=0.0,
            status="elsewhere",
            workers=0,
            target=self._name,
            store=self._store,
        )
