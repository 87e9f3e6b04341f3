"""What tests of served models share: small model folders, warm processes, and a look at who is left."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import psutil
import yaml

from mlops_magics.artifact import manifest
from mlops_magics.artifact.state import State
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Request
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.standby import Standby

STORE = "sqlite:///tests.db"
EXAMPLE = orjson.dumps({"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}})


def make_model(folder: Path, constant: float) -> str:
    """Write a model folder as MLflow does, of a model that always answers the same; return its digest."""
    import numpy as np
    import skops.io
    from sklearn.linear_model import LinearRegression

    model = LinearRegression()
    model.coef_, model.intercept_, model.n_features_in_ = np.zeros(1), constant, 1
    model.feature_names_in_ = np.array(["x"], dtype=object)
    folder.mkdir()
    skops.io.dump(model, folder / "model.skops")
    columns = [{"type": "double", "name": "x", "required": True}]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
    (folder / "MLmodel").write_text(
        yaml.safe_dump(
            {
                "flavors": {
                    "python_function": {"loader_module": "mlflow.sklearn", "predict_fn": "predict"},
                    "sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"},
                },
                "signature": {
                    "inputs": orjson.dumps(columns).decode(),
                    "outputs": orjson.dumps(outputs).decode(),
                },
            }
        )
    )
    return manifest.write(folder)


def ask_for(tmp: Path, constant: float = 1.0, **changes: object) -> Request:
    """A request to serve a model that answers ``constant``, as the version of that number."""
    folder = tmp / f"model-{constant}"
    digest = manifest.write(folder) if folder.exists() else make_model(folder, constant)
    fields: dict[str, object] = {
        "name": "flights",
        "model": "flights",
        "version": f"{constant:g}",
        "digest": digest,
        "model_path": folder,
        "example": EXAMPLE,
        "expected": [constant, constant],
    }
    return Request(**{**fields, **changes})  # type: ignore[arg-type]


def target(state: Path, store: str = STORE) -> LocalTarget:
    return LocalTarget(Settings(root=state, store=store, state=state), store)


def answer_of(local: LocalTarget, name: str = "flights") -> float:
    answered: float = orjson.loads(local.call(name, EXAMPLE).body)["predictions"][0]
    return answered


def until(done: Callable[[], object], seconds: float = 10.0) -> float:
    """Wait for something to be true; return how long it took."""
    begun = time.monotonic()
    while not done():
        assert time.monotonic() - begun < seconds, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - begun


def runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def state_of(state: Path, name: str = "flights") -> State:
    (path,) = (state / "endpoints").glob(f"{name}-*.json")
    found = State.read(path)
    assert found is not None
    return found


def end_all(state: Path) -> None:
    """End whatever supervisors a state folder knows, and check that nothing stays."""
    for path in (state / "endpoints").glob("*.json"):
        found = State.read(path)
        if found and found.process.alive():
            end_family(found.pid)


def end_family(pid: int) -> None:
    members = family(pid)
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, 9)
    until(lambda: not any(map(runs, members)))


class Pool:
    """Keeps a warm process ahead of so many tests: what they wait for is not importing."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._next = Standby()
        self._start()

    def _start(self) -> None:
        if self._left:
            self._left -= 1
            self._next.start()

    def take(self) -> Standby:
        taken, self._next = self._next, Standby()
        self._start()
        return taken

    def close(self) -> None:
        self._next.stop()


def pool(count: int) -> Iterator[Pool]:
    """The body of a fixture."""
    kept = Pool(count)
    try:
        yield kept
    finally:
        kept.close()
