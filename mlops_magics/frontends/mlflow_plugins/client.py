"""``mlflow deployments ... -t mlops-local``: our targets behind MLflow's own command and client.

MLflow asks a plugin for a subclass of its client, ``run_local`` and ``target_help`` under these names. All
our entry points lead here; the name in ``-t mlops-<target>`` says which target is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from mlflow.deployments import BaseDeploymentClient

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.deploy import Written, deploy
from mlops_magics.steps.predict import predict
from mlops_magics.targets import TARGETS

_ADDRESS: Final = "models:/flights@champion, or models:/flights/3"
_PREFIX: Final = "mlops-"
_NUMBERS: Final = ("port", "workers")
_TEXTS: Final[Mapping[str, Callable[[str], object]]] = {
    "image": str,
    "replicas": lambda text: tuple(text.split(",")),
    "into": Path,
    "host": str,
    "certificate": Path,
    "private_key": Path,
}


class Client(BaseDeploymentClient):
    """Deployments as MLflow's client names things: a deployment is an endpoint of ours.

    Args:
        target_uri: ``mlops-local``, ``mlops-container`` and so on.
    """

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)
        self._to = target_uri.partition(":")[0].removeprefix(_PREFIX)

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a registered version.

        Args:
            name: The endpoint's name.
            model_uri: ``models:/flights@champion`` or ``models:/flights/3``.
            flavor: Nothing, or ``python_function``.
            config: ``port``, ``workers``, ``image``, ``replicas``, ``into``, ``host``, ``certificate`` and
                ``private_key``, as text.
            endpoint: Not used: a deployment is its own endpoint.

        Returns:
            The deployment's name, flavor and version, and its url or the folder that was written.

        Raises:
            UsageError: The address is not a registered version's, or an option is not known.
        """
        del endpoint
        if not model_uri.startswith("models:/"):
            raise UsageError(f"'{model_uri}' is not a registered version.", f"Write {_ADDRESS}.")
        made = deploy(model_uri, to=self._to, name=name, **_options(config))
        where = {"folder": made.folder} if isinstance(made, Written) else {"url": made.url}
        return {"name": name, "flavor": flavor or "python_function", **where, "version": made.version}

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Swap the version behind an endpoint without losing a request."""
        if model_uri is None:
            raise UsageError("Which version shall it be?", f"Give model_uri: {_ADDRESS}.")
        return self.create_deployment(name, model_uri, flavor, config, endpoint)

    def delete_deployment(
        self, name: str, config: dict[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Take an endpoint away; one that is not there is no error, as MLflow asks."""
        del config, endpoint
        if any(item["name"] == name for item in self.list_deployments()):
            deploy(name, to=self._to, remove=True)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """List the endpoints of this store."""
        del endpoint
        return [
            {"name": item.name, "url": item.url, "version": item.version, "status": item.status}
            for item in deploy(to=self._to).endpoints
        ]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """Describe one endpoint."""
        found = [item for item in self.list_deployments(endpoint) if item["name"] == name]
        if not found:
            raise UsageError(
                f"There is no deployment '{name}'.", f"mlflow deployments list -t {self.target_uri}"
            )
        return found[0]

    def predict(
        self,
        deployment_name: str | None = None,
        inputs: Any = None,  # noqa: ANN401 - a table of any library
        endpoint: str | None = None,
    ) -> list[Any]:
        """Ask an endpoint over HTTP."""
        return list(predict(deployment_name or endpoint or "", inputs, to=self._to).values)


def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None
) -> None:
    """Deploy on this machine, as ``mlflow deployments run-local`` asks."""
    Client(f"{_PREFIX}local").create_deployment(name, model_uri, flavor, config)


def target_help() -> str:
    """Say what ``mlflow deployments help -t mlops-<target>`` shows."""
    return (
        "By mlops-magics: token-guarded REST endpoints on this machine (mlops-local), or files for one\n"
        f"elsewhere ({', '.join(_PREFIX + name for name in TARGETS.table if name != 'local')}).\n\n"
        f"model_uri: {_ADDRESS}\n"
        "-C port=N            the port to listen on\n"
        "-C workers=N         how many processes answer\n"
        "-C image=NAME        the container image, where a target names one\n"
        "-C replicas=MIN,MAX  how many copies run, where a target runs several\n"
        "-C into=FOLDER       where files are written\n"
        "-C certificate=FILE  answer over TLS, with -C private_key=FILE; and at -C host=ADDRESS\n\n"
        "The store is MLFLOW_TRACKING_URI's, or SQLite at the project's root."
    )


def _options(config: dict[str, Any] | None) -> dict[str, Any]:
    """Read what MLflow hands over as text."""
    options: dict[str, Any] = {}
    for key, value in (config or {}).items():
        text = str(value)
        if key in _NUMBERS and text.isascii() and text.isdecimal():
            options[key] = int(text)
        elif key in _TEXTS:
            options[key] = _TEXTS[key](text)
        else:
            raise UsageError(
                f"The option {key}={value} is not understood.",
                f"There is {', '.join((*_NUMBERS, *_TEXTS))}.",
            )
    return options
