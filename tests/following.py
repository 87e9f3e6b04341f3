"""Versions of a model that always answers the same, an alias to move between them, and what follows it."""

from __future__ import annotations

import contextlib
import http.client
import pickle
import sys
import threading
from pathlib import Path
from typing import Any, Self

import orjson
import psutil

sys.path.append(str(Path(__file__).parent / "targets"))

from served import EXAMPLE, make_model, runs, state_of, until

from mlops_magics.artifact import manifest
from mlops_magics.artifact.state import Following, State
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.local import LocalTarget
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
        source, run_id = (str(path), None) if self.store.local else self._sent(path)
        return registry.create_version(
            self.store, "flights", source=source, run_id=run_id, model_id=None, tags=tags
        )

    def _sent(self, path: Path) -> tuple[str, str]:
        run = self.client.create_run(self.store.experiment_id("e")).info
        self.client.log_artifacts(run.run_id, str(path), "model")
        return f"{run.artifact_uri}/model", run.run_id

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
    found = []
    for process in psutil.Process(state.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ends at this moment
            if "mlops_magics.frontends.follow" in process.cmdline() and runs(process.pid):
                found.append(process.pid)
    return found


class Clients:
    """Ask an endpoint over kept connections, for the length of a ``with`` block; every failure counts.

    Attributes:
        answers: What each client was answered, in its order.
        failures: What went wrong.
    """

    def __init__(self, local: LocalTarget, count: int, pause: float) -> None:
        (endpoint,) = local.list()
        token = local.key_file("flights").read_text()
        self.answers: list[list[float]] = [[] for _ in range(count)]
        self.failures: list[str] = []
        self._port, self._pause, self._over = endpoint.port, pause, threading.Event()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._threads = [threading.Thread(target=self._ask, args=(answers,)) for answers in self.answers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def meet(self, answer: float) -> None:
        """Wait until each client is answered so: the old workers answer on kept connections for a second."""
        until(lambda: all(answers and answers[-1] == answer for answers in self.answers))

    def _ask(self, answers: list[float]) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._over.wait(self._pause):
            try:
                line.request("POST", "/invocations", EXAMPLE, self._headers)
                response = line.getresponse()
                body = response.read()
                if response.status == 200:
                    answers.append(orjson.loads(body)["predictions"][0])
                else:
                    self.failures.append(f"{response.status} {body[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                line.close()
        line.close()
