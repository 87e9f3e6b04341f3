"""Each peer in an environment of its own, with pinned versions, made once by uv and kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tables import cache

_VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class Peer:
    """A package to measure against, and what it is installed with."""

    name: str
    pins: tuple[str, ...]

    def python(self) -> Path:
        """Return the interpreter of the peer's environment; make the environment if these pins have none."""
        told = "\n".join((*self.pins, sys.version)).encode()
        folder = cache() / f"{self.name}-{hashlib.sha256(told).hexdigest()[:12]}"
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        ready = folder / "ready"
        if not ready.exists():
            print(f"making the environment of {self.name}", flush=True)
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
            install = [uv, "pip", "install", "--quiet", "--system-certs", "--compile-bytecode"]
            subprocess.run([*install, "--python", python, *self.pins], check=True)
            ready.touch()
        return python

    def versions(self) -> dict[str, str]:
        """Ask the environment for the versions of what is pinned."""
        names = [pin.partition("==")[0].partition("[")[0] for pin in self.pins]
        done = subprocess.run(
            [self.python(), "-c", _VERSIONS, *names], check=True, capture_output=True, text=True
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found


SKRUB = Peer(
    "skrub",
    (
        "skrub==0.11.0",
        "pandas==3.1.1",
        "numpy==2.4.6",
        "pyarrow==25.0.1",
        "scikit-learn==1.9.1",
        "matplotlib==3.11.2",
    ),
)
# It asks for pandas < 3, so it cannot be installed beside ours.
FG = Peer(
    "fg-data-profiling",
    (
        "fg-data-profiling==4.20.0",
        "pandas==2.3.3",
        "numpy==2.4.6",
        "pyarrow==25.0.1",
        "matplotlib==3.11.2",
    ),
)
PEERS = (SKRUB, FG)
# On pandas 3 its import fails.
EVIDENTLY = Peer("evidently", ("evidently==0.7.23", "pandas==2.3.3", "pyarrow==25.0.1"))
# It imports statsmodels, which it does not ask for.
NANNYML = Peer("nannyml", ("nannyml==0.13.1", "statsmodels==0.15.0", "pandas==3.1.1", "pyarrow==25.0.1"))
DRIFT = (EVIDENTLY, NANNYML)
_SKLEARN = "scikit-learn==1.9.1"
VETIVER = Peer("vetiver", ("vetiver==0.2.6", _SKLEARN))
MLSERVER = Peer(
    "mlserver",
    # Its workers ask for an event loop in a way that uvloop has refused since 0.22.
    (
        "mlserver==1.7.1",
        "mlserver-sklearn==1.7.1",
        "mlserver-mlflow==1.7.1",
        _SKLEARN,
        "mlflow==3.17.2",
        "uvloop==0.21.0",
    ),
)
BENTOML = Peer("bentoml", ("bentoml==1.4.39", _SKLEARN, "pandas==3.1.1"))
FASTAPI_MLFLOW = Peer(
    "fastapi-mlflow", ("fastapi-mlflow==0.8.0", _SKLEARN, "mlflow==3.17.2", "uvicorn==0.54.0")
)
RAY_SERVE = Peer("ray-serve", ("ray[serve]==2.60.0", _SKLEARN, "pandas==3.1.1"))
KSERVE = Peer("kserve", ("kserve==0.21.0",))  # it asks for an older pandas than ours
MLSERVER_TYPES = Peer("mlserver-types", ("mlserver==1.7.1", "uvloop==0.21.0"))
SCHEMATHESIS = Peer("schemathesis", ("schemathesis==4.32.5",))
CLIENTS = (KSERVE, MLSERVER_TYPES, SCHEMATHESIS)
SERVERS = (VETIVER, MLSERVER, BENTOML, FASTAPI_MLFLOW, RAY_SERVE)


if __name__ == "__main__":
    for peer in (*PEERS, *DRIFT, *SERVERS, *CLIENTS):
        print(peer.name, peer.versions())
