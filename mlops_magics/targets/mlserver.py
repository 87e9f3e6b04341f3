"""The MLServer target: settings with which Seldon's MLServer serves the model through MLflow's runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from mlops_magics.artifact import manifest, served
from mlops_magics.foundation.errors import RefusedError, UsageError
from mlops_magics.targets.base import Request
from mlops_magics.targets.container import quoted
from mlops_magics.targets.folder import Content
from mlops_magics.targets.image import REQUIREMENTS, pins, port
from mlops_magics.targets.pods import written
from mlops_magics.targets.written import WrittenTarget, one_copy

# With uvloop 0.22 and later, MLServer 1.7.1's worker processes end as soon as they start.
_RUNTIME: Final = ("mlserver==1.7.1", "mlserver-mlflow==1.7.1", "mlflow", "uvloop<0.22")
_HOST: Final = "127.0.0.1"


class MlserverTarget(WrittenTarget):
    """Writes a folder that ``mlserver start`` takes. The server is theirs: it asks for no token."""

    name: ClassVar[str] = "mlserver"
    contracts: ClassVar[bool] = False

    def files(self, request: Request) -> Mapping[str, Content]:
        """Make the settings, the pins and the model's files."""
        one_copy(request, self.name)
        if request.image is not None:
            raise UsageError("MLServer's settings name no image.", "Leave --image out.")
        if request.allow_pickle or request.allow_code:
            raise RefusedError(
                "MLServer checks nothing that it loads, so that no consent can be kept with its settings.",
                "Deploy this model with --to local or --to container.",
            )
        manifest.verify(request.model_path, request.digest)
        listed = [*manifest.sizes(request.model_path), manifest.NAME]
        files: dict[str, Content] = {f"{served.MODEL}/{name}": request.model_path / name for name in listed}
        files["model-settings.json"] = written(
            {
                "name": request.name,
                "implementation": "mlserver_mlflow.MLflowRuntime",
                "parameters": {"uri": f"./{served.MODEL}", "version": request.version},
            }
        )
        workers = 0 if request.workers == 1 else request.workers  # 0: in MLServer's own process
        settings = {"host": _HOST, "http_port": port(request), "parallel_workers": workers}
        files["settings.json"] = written(settings)
        # Our wheel comes along for the parts of ours that a model may be made of.
        files.update(pins(request.model_path, _RUNTIME))
        return files

    def then(self, request: Request, folder: str) -> tuple[str, ...]:
        """Say how it is started."""
        del request
        return (
            f"(cd {quoted(folder)} && pip install -r {REQUIREMENTS})",
            f"mlserver start {quoted(folder)}",
        )
