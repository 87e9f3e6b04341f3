"""``mlflow deployments ... -t mlops-local``: our local target behind MLflow's own command and client.

MLflow asks a plugin for a subclass of its client, ``run_local`` and ``target_help`` under these names.
"""

from __future__ import annotations

from typing import Any

from mlflow.deployments import BaseDeploymentClient

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.deploy import deploy
from mlops_magics.steps.predict import predict

_ADDRESS = "models:/flights@champion, or models:/flights/3"


class LocalClient(BaseDeploymentClient):
    """Deployments on this machine, as MLflow's client names things: a deployment is an endpoint of ours."""

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
            config: ``port`` and ``workers``, as text.
            endpoint: Not used: a deployment is its own endpoint.

        Returns:
            The deployment's name, flavor, url and version.

        Raises:
            UsageError: The address is not a registered version's, or an option is not known.
        """
        del endpoint
        if not model_uri.startswith("models:/"):
            raise UsageError(f"'{model_uri}' is not a registered version.", f"Write {_ADDRESS}.")
        options = _options(config)
        made = deploy(model_uri, name=name, port=options.get("port"), workers=options.get("workers", 1))
        return {"name": name, "flavor": flavor or "python_function", "url": made.url, "version": made.version}

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
            deploy(name, remove=True)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """List the endpoints of this store."""
        del endpoint
        return [
            {"name": item.name, "url": item.url, "version": item.version, "status": item.status}
            for item in deploy().endpoints
        ]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """Describe one endpoint."""
        found = [item for item in self.list_deployments(endpoint) if item["name"] == name]
        if not found:
            raise UsageError(f"There is no deployment '{name}'.", "mlflow deployments list -t mlops-local")
        return found[0]

    def predict(
        self,
        deployment_name: str | None = None,
        inputs: Any = None,  # noqa: ANN401 - a table of any library
        endpoint: str | None = None,
    ) -> list[Any]:
        """Ask an endpoint over HTTP."""
        return list(predict(deployment_name or endpoint or "", inputs).values)


def run_local(
    target: str, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None
) -> None:
    """Deploy on this machine, which this target always does."""
    LocalClient(target).create_deployment(name, model_uri, flavor, config)


def target_help() -> str:
    """Say what ``mlflow deployments help -t mlops-local`` shows."""
    return (
        "Token-guarded REST endpoints on this machine, by mlops-magics.\n\n"
        f"model_uri: {_ADDRESS}\n"
        "-C port=N      the port to listen on\n"
        "-C workers=N   how many processes answer\n\n"
        "The store is MLFLOW_TRACKING_URI's, or SQLite at the project's root."
    )


def _options(config: dict[str, Any] | None) -> dict[str, int]:
    options = {}
    for key, value in (config or {}).items():
        if key not in {"port", "workers"} or not str(value).isdecimal():
            raise UsageError(f"The option {key}={value} is not understood.", "There is port=N and workers=N.")
        options[key] = int(value)
    return options
