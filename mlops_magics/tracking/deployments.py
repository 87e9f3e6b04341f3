"""MLflow's own deployment plugins: whoever has installed one reaches it from here, too."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from mlops_magics.foundation.errors import MLOpsError, UnavailableError
from mlops_magics.foundation.masking import masked
from mlops_magics.tracking.store import door, switched

Said = TypeVar("Said")

_GROUP: Final = "mlflow.deployments"
_BUILT_IN: Final = frozenset({"sagemaker"})  # MLflow registers it without an entry point


def plugins() -> tuple[str, ...]:
    """List the plugins by name; imports none of them."""
    found = {point.name for point in importlib.metadata.entry_points(group=_GROUP)}
    return tuple(sorted(found | _BUILT_IN))


@dataclass(frozen=True, slots=True)
class Plugin:
    """A deployment plugin, with the store that its models are in.

    Attributes:
        address: Its name, or an address that begins with it: ``sagemaker:/eu-west-1``.
        store: The store's address.
    """

    address: str
    store: str

    def create(self, name: str, model: str) -> dict[str, Any]:
        """Deploy a model, in place of the one that the deployment serves now, if there is one.

        Args:
            name: The deployment.
            model: ``models:/flights/3``.

        Returns:
            What the plugin says of it.
        """
        if name in self.names():
            return dict(self._ask(lambda client: client.update_deployment(name, model_uri=model)) or {})
        return dict(self._ask(lambda client: client.create_deployment(name, model)) or {})

    def delete(self, name: str) -> None:
        """Take a deployment away."""
        self._ask(lambda client: client.delete_deployment(name))

    def names(self) -> tuple[str, ...]:
        """List the deployments by name."""
        found = self._ask(lambda client: client.list_deployments())
        return tuple(str(item["name"]) for item in found if "name" in item)

    def predict(self, name: str, rows: Any) -> list[Any]:  # noqa: ANN401 - a pandas frame
        """Ask a deployment.

        Args:
            name: The deployment.
            rows: The rows, as a pandas frame.

        Returns:
            An answer a row.
        """
        said = self._ask(lambda client: client.predict(deployment_name=name, inputs=rows))
        said = getattr(said, "predictions", said)
        if isinstance(said, dict) and "predictions" in said:
            said = said["predictions"]
        return list(said.tolist() if hasattr(said, "tolist") else said)

    def _ask(self, question: Callable[[Any], Said]) -> Said:
        try:
            with (
                door(f"The deployment plugin {self.address}"),
                switched(MLFLOW_TRACKING_URI=self.store, MLFLOW_REGISTRY_URI=self.store),
            ):
                from mlflow.deployments import get_deploy_client

                return question(get_deploy_client(self.address))
        except MLOpsError:
            raise
        except Exception as error:  # whatever a stranger's plugin does
            raise UnavailableError(
                f"The deployment plugin {self.address} failed: {type(error).__name__}: {masked(str(error))}.",
                "Its own documentation says what it needs.",
            ) from error
