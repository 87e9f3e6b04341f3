"""What tests share that run what an image would run: its environment, its entry point, its address."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

from mlops_magics.targets.base import Endpoint

TOKEN = "a-token-of-the-tests"  # noqa: S105 - it guards nothing
SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def clean_environment(folder: Path, place: Path) -> str:
    """Install what a build context pins, and nothing else; return the Python of that environment."""
    python = str(place / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--system-certs", "--python", python]
    subprocess.run([*install, "-r", "requirements.txt"], cwd=folder, check=True)
    return python


@contextlib.contextmanager
def serving(folder: Path, python: str, port: int, **told: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the entry point as an image does, on loopback, in an environment that holds nothing else."""
    fields = orjson.loads((folder / "served.json").read_bytes())
    (folder / "served.json").write_bytes(orjson.dumps({**fields, "port": port}))
    environment = {"MLOPS_BIND": "127.0.0.1", "MLOPS_TOKEN_SHA256": SHA256, "OMP_NUM_THREADS": "1", **told}
    line = [python, "-P", "-m", "mlops_magics.frontends.elsewhere"]
    with subprocess.Popen(
        [*line, "serve", str(folder)],
        env=environment,
        cwd="/",
        stderr=subprocess.PIPE,
    ) as process:
        try:
            while process.poll() is None:
                if (
                    subprocess.run([*line, "health", str(folder)], env=environment, check=False).returncode
                    == 0
                ):
                    break
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def endpoint(port: int, host: str = "127.0.0.1") -> Endpoint:
    return Endpoint(
        name="flights",
        url=f"http://{host}:{port}",
        model="flights",
        version="1",
        port=port,
        pid=0,
        started=0.0,
        status="ready",
        workers=1,
    )
