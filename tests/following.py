"""Versions of a model that always answers the same, an alias to move between them, and what follows it."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import orjson
import psutil

sys.path.append(str(Path(__file__).parent / "targets"))

from served import EXAMPLE, make_model, runs, state_of

from mlops_magics.artifact import manifest
from mlops_magics.artifact.order import Following, State
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store


class Registry:
    """The registered model ``flights`` of the store that the settings name.

    Args:
        folder: Where models lie; a server is sent copies.
    """

    def __init__(self, folder: Path) -> None:
        self.store = open_store(Settings.discover())
        self.client: Any = self.store.client
        self.folder = folder

    def add(self, constant: float, *, pickled: bool = False, blind: bool = False) -> str:
        """Register a model that answers ``constant``; return its version.

        Args:
            constant: What it answers.
            pickled: Whether it is kept in pickle.
            blind: Whether it raises when it is asked.
        """
        path = self.folder / f"model-{constant:g}"
        digest = make_model(path, constant)
        if pickled or blind:
            digest = _spoilt(path, pickled=pickled)
        tags = {
            "mlops.manifest": digest,
            "mlops.example.request": EXAMPLE.decode(),
            "mlops.example.predictions": orjson.dumps([constant, constant]).decode(),
        }
        source = str(path) if self.store.local else self._sent(path)
        return registry.create_version(
            self.store, "flights", source=source, run_id=None, model_id=None, tags=tags
        )

    def _sent(self, path: Path) -> str:
        run = self.client.create_run(self.store.experiment_id("e")).info
        self.client.log_artifacts(run.run_id, str(path), "model")
        return f"{run.artifact_uri}/model"

    def point(self, version: str) -> None:
        """Move the alias ``champion``."""
        self.client.set_registered_model_alias("flights", "champion", version)

    def tags(self, version: str) -> dict[str, str]:
        """Read a version's tags."""
        return dict(self.client.get_model_version("flights", version).tags)


def _spoilt(path: Path, *, pickled: bool) -> str:
    """Keep a model in pickle, or as one that raises when it is asked; return its digest."""
    import skops.io

    model = skops.io.load(path / "model.skops")
    if not pickled:
        model.coef_ = model.coef_.repeat(2)  # it asks for two columns
        skops.io.dump(model, path / "model.skops")
        return manifest.write(path)
    (path / "model.skops").unlink()
    (path / "model.pkl").write_bytes(pickle.dumps(model))
    told = (path / "MLmodel").read_text()
    told = told.replace("model.skops", "model.pkl").replace("format: skops", "format: pickle")
    (path / "MLmodel").write_text(told)
    return manifest.write(path)


def following(state: Path) -> Following:
    """Read how the endpoint follows; it must follow."""
    found = state_of(state).follow
    assert found is not None
    return found


def followers(state: State) -> list[int]:
    """Find the processes that watch aliases for an endpoint, and those that deploy for it."""
    return [
        process.pid
        for process in psutil.Process(state.pid).children(recursive=True)
        if "mlops_magics.frontends.follow" in process.cmdline() and runs(process.pid)
    ]
