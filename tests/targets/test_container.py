"""The build context: what the Dockerfile says; its entry point serves, here and in a clean environment."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import orjson
import pytest
import yaml
from images import SHA256, TOKEN, clean_environment, endpoint, free_port, serving
from served import EXAMPLE, ask_for, runs, until
from written_targets import target_in

from mlops_magics.artifact import manifest
from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.artifact.served import digest_of
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UsageError
from mlops_magics.frontends.elsewhere import app
from mlops_magics.targets.base import Request
from mlops_magics.targets.call import call, get
from mlops_magics.targets.image import checked_image
from mlops_magics.targets.wheel import NAME, wheel

TENS = """
import mlflow
import pandas as pd

class Tens(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame):
        import own_tens
        return model_input["x"] + own_tens.TEN

mlflow.models.set_model(Tens())
"""


def written(tmp: Path, **changes: object) -> tuple[Request, Path]:
    request = ask_for(tmp, **changes)
    folder = target_in(tmp / "project", "container").deploy(request).folder
    assert folder is not None
    return request, folder


def instructions(text: str) -> list[tuple[str, str]]:
    """Read a Dockerfile as Docker does: a backslash joins lines, the first word is the instruction."""
    lines = text.replace("\\\n", " ").splitlines()
    return [
        (line.split(None, 1)[0], " ".join(line.split(None, 1)[1].split())) for line in lines if line.strip()
    ]


def test_the_dockerfile_copies_only_what_is_there_and_ends_without_root(tmp_path: Path) -> None:
    _, folder = written(tmp_path, port=9001)
    said = instructions((folder / "Dockerfile").read_text())
    order = [word for word, _ in said]
    assert order[:2] == ["ARG", "FROM"]
    assert order.count("FROM") == 1
    copied = [name for word, rest in said if word == "COPY" for name in rest.split()[:-1]]
    assert all((folder / name).exists() for name in copied)
    ignored = (folder / ".dockerignore").read_text().splitlines()
    assert ignored == ["*", *(f"!{name}" for name in copied)]
    users = [rest for word, rest in said if word == "USER"]
    assert users == ["10001:10001"]
    assert order.index("USER") > max(place for place, word in enumerate(order) if word in {"COPY", "RUN"})
    assert ("EXPOSE", "9001") in said
    (check,) = [rest for word, rest in said if word == "HEALTHCHECK"]
    assert "curl" not in check
    last = dict(said)
    assert json.loads(check.partition("CMD ")[2]) == [*json.loads(last["ENTRYPOINT"]), "health", "/srv"]
    assert json.loads(last["CMD"]) == ["serve", "/srv"]
    assert "TOKEN" not in (folder / "Dockerfile").read_text()


def test_the_python_is_the_models_own(tmp_path: Path) -> None:
    request = ask_for(tmp_path)
    (request.model_path / "python_env.yaml").write_text("python: 3.12.4\nbuild_dependencies:\n- pip\n")
    pins = [
        "# made",
        "mlflow==3.17.0",
        "mlops_magics==0.0.9",
        "scikit-learn==1.5.2",
        "NumPy==2.0.1",
        "orjson",
    ]
    (request.model_path / "requirements.txt").write_text("\n".join(pins))
    _, folder = written(tmp_path, digest=manifest.write(request.model_path))
    assert (folder / "Dockerfile").read_text().startswith("ARG BASE=python:3.12-slim\n")
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert {"scikit-learn==1.5.2", "NumPy==2.0.1", f"./{NAME}"} < set(lines)
    assert f"orjson=={importlib.metadata.version('orjson')}" in lines
    names = [line.partition("==")[0].lower() for line in lines]
    assert not {"mlflow", "mlops_magics", "mlops-magics"} & set(names)
    assert len(names) == len(set(names))
    assert all("==" in line or line.startswith("./") for line in lines)


def test_what_only_mlflow_can_load_has_mlflow_in_its_image(tmp_path: Path) -> None:
    request = ask_for(tmp_path)
    file = request.model_path / "MLmodel"
    told = yaml.safe_load(file.read_text())
    del told["flavors"]["sklearn"]
    file.write_text(yaml.safe_dump(told))
    agreed = {"allow_pickle": True, "allow_code": True}
    _, folder = written(tmp_path, digest=manifest.write(request.model_path), **agreed)
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert f"mlflow=={importlib.metadata.version('mlflow')}" in lines
    fields = orjson.loads((folder / "served.json").read_bytes())
    (folder / "served.json").write_bytes(orjson.dumps({**fields, "allow_code": False}))
    with pytest.raises(RefusedError, match="MLflow itself loads it"):
        app.make(folder, {"MLOPS_TOKEN_SHA256": SHA256})


def foreign_model(tmp: Path) -> dict[str, object]:
    """Let MLflow write a function with a module of its own; return what a request for it says."""
    import pandas as pd

    (tmp / "own_tens.py").write_text("TEN = 10.0\n")
    (tmp / "tens.py").write_text(TENS)
    folder, rows = tmp / "foreign", pd.DataFrame({"x": [1.0, 2.0]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own annotations
        import mlflow.pyfunc
        from mlflow.models import infer_signature

        mlflow.pyfunc.save_model(
            folder,
            python_model=str(tmp / "tens.py"),
            code_paths=[str(tmp / "own_tens.py")],
            input_example=rows,
            signature=infer_signature(rows, [1.0]),
            pip_requirements=["numpy", "pandas"],
        )
    return {
        "model_path": folder,
        "digest": manifest.write(folder),
        "expected": [11.0, 12.0],
        "allow_pickle": True,
        "allow_code": True,
    }


def test_a_model_that_was_changed_is_not_written(tmp_path: Path) -> None:
    request = ask_for(tmp_path)
    (request.model_path / "MLmodel").write_text("flavors: {}\n")
    target = target_in(tmp_path / "project", "container")
    for ask in (target.plan, target.deploy):
        with pytest.raises(RefusedError, match="MLmodel differs"):
            ask(request)
    assert target.list() == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 80}, "port 80"),
        ({"port": 70000}, "port 70000"),
        ({"replicas": (1, 2)}, "one copy"),
        ({"image": "Flights"}, "container image"),
        ({"image": "user:secret@host/flights"}, "container image"),
        ({"image": "a\nRUN id"}, "container image"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        written(tmp_path, **changes)


@pytest.mark.parametrize(
    "name",
    [
        "flights",
        "a/b:1",
        "localhost:5000/a_b/c.d:1.0-x",
        "x@sha256:" + "0" * 64,
        "ghcr.io/t/m:v@sha256:" + "a" * 64,
    ],
)
def test_names_of_images_are_taken(name: str) -> None:
    assert checked_image(name) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "-a", "a:", "a/B", "a@sha256:0", "a" * 300, "a\n", "{{a}}", "$(id)"]
)
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        checked_image(name)


def test_the_wheel_is_the_same_each_time_and_lists_what_it_holds(tmp_path: Path) -> None:
    assert wheel() == wheel()
    (tmp_path / NAME).write_bytes(wheel())
    with zipfile.ZipFile(tmp_path / NAME) as archive:
        names = archive.namelist()
        (record,) = [name for name in names if name.endswith("RECORD")]
        listed = [line.split(",")[0] for line in archive.read(record).decode().splitlines()]
    assert listed == names
    assert "mlops_magics/serving/app.py" in names


def ask_and_end(process: subprocess.Popen[bytes], port: int) -> None:
    answer = call(endpoint(port), EXAMPLE, token=TOKEN)
    assert orjson.loads(answer.body)["predictions"] == [1.0, 1.0]
    with pytest.raises(RefusedError, match="token"):
        call(endpoint(port), EXAMPLE, token="another")  # noqa: S106 - it is wrong
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_the_entry_point_serves_and_ends_when_asked(tmp_path: Path) -> None:
    _, folder = written(tmp_path)
    port = free_port()
    with serving(folder, sys.executable, port) as process:
        ask_and_end(process, port)


def test_it_holds_requests_against_the_contract_that_lies_in_it(tmp_path: Path) -> None:
    contract = Contract("small", (ColumnRule("x", "number", maximum=1.5),), rows=10).to_json()
    _, folder = written(tmp_path, contract=contract, example=None, expected=None)
    port, other = free_port(), hashlib.sha256(b"other").hexdigest()
    wanted = {"MLOPS_CONTRACT": digest_of(contract), "MLOPS_TOKEN_SHA256": f"{SHA256}\n{other}:read\n"}
    with serving(folder, sys.executable, port, **wanted) as process:
        with pytest.raises(UsageError, match=r"contract small.*range.*row 1"):
            call(endpoint(port), EXAMPLE, token=TOKEN)
        good = orjson.dumps({"inputs": {"x": [1.0]}})
        assert orjson.loads(call(endpoint(port), good, token=TOKEN).body)["predictions"] == [1.0]
        told = get(endpoint(port), "/metrics", token="other").body.decode()  # noqa: S106 - made up here
        assert 'column="x",rule="range"} 1' in told
        with pytest.raises(RefusedError, match="token for predict"):
            call(endpoint(port), good, token="other")  # noqa: S106 - same
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_time_to_linger_that_is_none_shows_when_it_starts(tmp_path: Path) -> None:
    _, folder = written(tmp_path)
    for text in ("soon", "nan", "-1", "inf"):
        with serving(folder, sys.executable, free_port(), MLOPS_LINGER=text) as process:
            assert process.wait(20) == 1
            assert process.stderr is not None
            assert b"no number of seconds" in process.stderr.read()


def test_several_processes_answer_and_end_together(tmp_path: Path) -> None:
    import psutil

    _, folder = written(tmp_path, workers=2)
    port = free_port()
    with serving(folder, sys.executable, port) as process:
        until(lambda: len(psutil.Process(process.pid).children()) == 2)
        children = psutil.Process(process.pid).children()
        os.kill(children[0].pid, signal.SIGKILL)
        assert process.wait(20) == 9
        until(lambda: not any(runs(child.pid) for child in children))


def test_the_health_check_asks_where_the_server_listens(tmp_path: Path) -> None:
    _, folder = written(tmp_path)
    with serving(folder, sys.executable, free_port(), MLOPS_BIND="127.0.0.2") as process:
        assert process.poll() is None  # it was found healthy


def test_they_end_whenever_they_are_asked_to(tmp_path: Path) -> None:
    _, folder = written(tmp_path, workers=3)
    port = free_port()
    fields = orjson.loads((folder / "served.json").read_bytes())
    (folder / "served.json").write_bytes(orjson.dumps({**fields, "port": port}))
    environment = {"MLOPS_BIND": "127.0.0.1", "MLOPS_TOKEN_SHA256": SHA256}
    line = [sys.executable, "-P", "-m", "mlops_magics.frontends.elsewhere", "serve", str(folder)]
    for delay in (0.15, 0.25, 0.35, 0.45, 0.6, 1.0):
        with subprocess.Popen(line, env=environment, cwd="/", stderr=subprocess.DEVNULL) as process:
            time.sleep(delay)
            process.terminate()
            assert process.wait(20) in {0, -signal.SIGTERM}
        with socket.create_server(("127.0.0.1", port)):
            pass  # none of them holds it any more


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"MLOPS_TOKEN_SHA256": "abc"}, "whose requests it may answer"),
        ({"MLOPS_TOKEN_SHA256_FILE": "/nowhere"}, "whose requests it may answer"),
        ({"MLOPS_TOKEN_SHA256": f"{SHA256}:write"}, "whose requests it may answer"),
        ({"MLOPS_TOKEN_SHA256": f"{SHA256} abc"}, "whose requests it may answer"),
        ({"MLOPS_TOKEN_SHA256": ""}, "whose requests it may answer"),
        ({"MLOPS_TOKEN_SHA256": SHA256, "MLOPS_DIGEST": "sha256:" + "0" * 64}, "not what MLOPS_DIGEST names"),
        ({"MLOPS_TOKEN_SHA256": SHA256, "MLOPS_CONTRACT": "sha256:" + "0" * 64}, "no requests against"),
    ],
)
def test_it_does_not_serve_without_a_token_nor_another_model(
    tmp_path: Path, told: dict[str, str], message: str
) -> None:
    _, folder = written(tmp_path)
    with pytest.raises(MLOpsError, match=message):
        app.make(folder, told)


def test_a_model_that_was_changed_in_the_image_is_not_served(tmp_path: Path) -> None:
    _, folder = written(tmp_path)
    (folder / "model" / "more.txt").write_text("x")
    with pytest.raises(RefusedError, match=r"more\.txt was added"):
        app.make(folder, {"MLOPS_TOKEN_SHA256": SHA256})
    (folder / "served.json").write_text("{}")
    with pytest.raises(MLOpsError, match="cannot be read"):
        app.make(folder, {"MLOPS_TOKEN_SHA256": SHA256})


@pytest.mark.parametrize(
    ("hosts", "status"), [("", 403), ("other", 403), ("other, flights.example.com", 200), ("*", 200)]
)
def test_it_is_asked_only_under_the_names_that_it_was_told(tmp_path: Path, hosts: str, status: int) -> None:
    import asyncio

    _, folder = written(tmp_path)
    (tmp_path / "secret").write_text(SHA256 + "\n")
    made = app.make(folder, {"MLOPS_TOKEN_SHA256_FILE": str(tmp_path / "secret"), "MLOPS_HOSTS": hosts})
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    headers = [(b"host", b"flights.example.com"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/version", "headers": headers}
    asyncio.run(made(scope, receive, send))
    assert sent[0]["status"] == status
    sent.clear()
    asyncio.run(made({**scope, "headers": headers[:1]}, receive, send))
    assert sent[0]["status"] == (401 if status == 200 else 403)


@pytest.mark.slow
def test_it_serves_in_an_environment_that_holds_only_what_is_pinned(tmp_path: Path) -> None:
    _, folder = written(tmp_path)
    python = clean_environment(folder, tmp_path / "clean")
    found = subprocess.run([python, "-c", "import mlflow"], capture_output=True, check=False)
    assert b"No module named 'mlflow'" in found.stderr
    port = free_port()
    with serving(folder, python, port) as process:
        ask_and_end(process, port)


@pytest.mark.slow
def test_what_only_mlflow_can_load_serves_in_an_environment_that_holds_only_what_is_pinned(
    tmp_path: Path,
) -> None:
    request = ask_for(tmp_path, **foreign_model(tmp_path))
    folder = target_in(tmp_path / "project", "container").deploy(request).folder
    assert folder is not None
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert f"mlflow=={importlib.metadata.version('mlflow')}" in lines
    assert all("==" in line or line.startswith("./") for line in lines)
    python, port = clean_environment(folder, tmp_path / "clean"), free_port()
    with serving(folder, python, port) as process:
        answer = call(endpoint(port), EXAMPLE, token=TOKEN)
        assert orjson.loads(answer.body)["predictions"] == [11.0, 12.0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
