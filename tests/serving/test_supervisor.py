from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

sys.path.append(str(Path(__file__).parent.parent / "targets"))

from served import EXAMPLE, family, make_model, runs, until

from mlops_magics.artifact.guard import Token
from mlops_magics.artifact.order import Follow, Order
from mlops_magics.artifact.proof import environment
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Endpoint
from mlops_magics.targets.call import call
from mlops_magics.targets.local_follow import offered

TOKEN = "token"  # noqa: S105 - of a server that ends with the test


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    digest = make_model(tmp_path / "model", 7.0)
    made = Order(
        name="flights",
        model_path=tmp_path / "model",
        model="flights",
        version="7",
        digest=digest,
        token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(),
        state_path=tmp_path / "endpoints" / "flights.json",
        log_path=tmp_path / "logs" / "flights.log",
    )
    yield made
    state = State.read(made.state_path)
    if state and state.process.alive():
        members = family(state.pid)
        os.kill(state.pid, signal.SIGKILL)
        until(lambda: not any(map(runs, members)))


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", *words],
        stdin=subprocess.PIPE,
        env=environment(os.environ),
        start_new_session=True,
    )


def state_after(order: Order, seconds: float = 20) -> State:
    def settled() -> bool:
        state = State.read(order.state_path)
        return state is not None and state.status != "starting"

    until(settled, seconds)
    state = State.read(order.state_path)
    assert state is not None
    return state


def ask(state: State) -> bytes:
    endpoint = Endpoint(
        name=state.name,
        url=f"http://{state.host}:{state.port}",
        model=state.model,
        version=state.version,
        port=state.port,
        pid=state.pid,
        started=state.started,
        status="ready",
        workers=1,
    )
    return call(endpoint, EXAMPLE, token=TOKEN).body


def test_an_order_survives_its_line(order: Order) -> None:
    tokens = (Token(sha256="0" * 64, scopes=("predict", "read")), Token(sha256="1" * 64, scopes=("admin",)))
    follow = Follow(alias="champion", mark="1")
    for one in (order, replace(order, tokens=tokens), replace(order, follow=follow)):
        assert Order.from_json(one.to_json()) == one
    for line in (b"", b"{}", b"[]", order.to_json()[:-1]):
        with pytest.raises(MLOpsError):
            Order.from_json(line)


def test_an_order_to_follow_comes_with_its_surroundings(order: Order) -> None:
    with start("-m", "mlops_magics.serving", "serve") as process:
        process.communicate(replace(order, follow=Follow(alias="champion", mark="1")).to_json() + b"\n")
    state = state_after(order)
    assert state.status == "failed"
    assert "does not follow champion" in str(state.error)
    until(lambda: not runs(state.pid))


_COUNTING = r"""
import sys
from mlops_magics.serving import follower
counts = r'''
import os, json
while os.read(0, 1) != b"\n":
    pass
seen = 0
while said := os.read(0, 1):
    seen += 1
    os.write(1, json.dumps({"version": str(seen), "remark": None}).encode() + b"\n")
'''
follower._LINE = [sys.executable, "-c", counts]
from mlops_magics.serving.__main__ import main
raise SystemExit(main(["serve"]))
"""


def test_a_signal_without_mail_lets_the_follower_look(order: Order, tmp_path: Path) -> None:
    follow = Follow(alias="champion", mark="1")
    settings = Settings(root=tmp_path, store="sqlite:///mlflow.db", state=tmp_path)
    with offered(follow, order.state_path, settings), start("-c", _COUNTING) as process:
        process.communicate(replace(order, follow=follow).to_json() + b"\n")
        state = state_after(order)
    assert state.status == "ready"

    def looks() -> str:
        found = State.read(order.state_path)
        return found.follow.version if found and found.follow else ""

    for count in ("1", "2"):
        os.kill(state.pid, signal.SIGHUP)
        until(lambda count=count: looks() == count)
    assert b"7.0" in ask(state)


def test_serve_answers_until_it_is_told_to_end(order: Order) -> None:
    reader = Token(sha256=hashlib.sha256(b"reader").hexdigest(), scopes=("read",))
    order = replace(order, tokens=(reader,))
    with start("-m", "mlops_magics.serving", "serve") as process:
        process.communicate(order.to_json() + b"\n")
        assert process.returncode == 0  # it goes on as a child of init
    state = state_after(order)
    assert state.status == "ready"
    assert b"7.0" in ask(state)
    assert os.getsid(state.pid) == state.pid
    address = f"http://{state.host}:{state.port}"
    statuses = []
    for path in ("/v2/health/ready", "/openapi.json", "/docs"):
        for token in ("none", "reader", TOKEN):
            answer = httpx.get(address + path, headers={"authorization": f"Bearer {token}"})
            statuses.append(answer.status_code)
    assert statuses == [200, 200, 200, 401, 200, 200, 401, 200, 200]
    refused = httpx.post(f"{address}/invocations", headers={"authorization": "Bearer reader"})
    assert refused.json()["error_code"] == "OUT_OF_SCOPE"
    members = family(state.pid)
    os.kill(state.pid, signal.SIGINT)
    os.kill(state.pid, signal.SIGHUP)  # with no mail
    assert b"7.0" in ask(state)
    os.kill(state.pid, signal.SIGTERM)
    until(lambda: not any(map(runs, members)), 5)
    assert state_after(order).status == "stopping"
    with socket.create_server((state.host, state.port)):
        pass  # the port is free


_FRESH = """
from mlops_magics.serving import posix
posix.can_fork = lambda: False
from mlops_magics.serving.__main__ import main
raise SystemExit(main(["serve"]))
"""


def test_where_forking_is_unsafe_workers_are_started_afresh(order: Order) -> None:
    with start("-c", _FRESH) as process:
        process.communicate(order.to_json() + b"\n")
    state = state_after(order, 40)
    assert state.status == "ready", order.log_path.read_text()
    (worker,) = state.workers
    assert b"\0worker\0" in Path(f"/proc/{worker}/cmdline").read_bytes()
    assert b"7.0" in ask(state)
    os.kill(state.pid, signal.SIGKILL)
    assert until(lambda: not runs(worker), 5) < 2


def test_a_standby_ignores_interrupts_and_ends_with_its_stdin() -> None:
    with start("-m", "mlops_magics.serving", "standby") as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == 0


_KERNEL = """
import os, time
from mlops_magics.targets.standby import Standby
standby = Standby()
standby.start()
if not os.fork():
    time.sleep(60)  # holds the standby's pipe open, as a multiprocessing worker does
    os._exit(0)
print(standby.pid, flush=True)
time.sleep(60)
"""


def test_a_standby_ends_with_its_kernel_even_if_a_child_of_it_holds_the_pipe() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KERNEL], stdout=subprocess.PIPE, start_new_session=True
    ) as kernel:
        assert kernel.stdout is not None
        standby = int(kernel.stdout.readline())
        try:
            os.kill(kernel.pid, signal.SIGKILL)
            kernel.wait()
            until(lambda: not runs(standby), 6)
        finally:
            os.killpg(kernel.pid, signal.SIGKILL)


_MODULES = """
import sys
from mlops_magics.serving import apart, foreign, worker
from mlops_magics.serving.standby import imports
missing = [name for name in imports() if name not in sys.modules and name != "a rehearsal"]
heavy = {"mlflow", "IPython", "anywidget", "ipywidgets", "matplotlib", "sqlalchemy"} & set(sys.modules)
print(missing, heavy)
"""


_THREADS = """
import mlops_magics.serving.__main__
import numpy, sklearn.ensemble
from threadpoolctl import threadpool_info
print(sorted({each["num_threads"] for each in threadpool_info()}))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="there is but one processor")
def test_no_library_starts_a_team_of_threads_in_a_server() -> None:
    given = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    told = [
        subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
        for code in (_THREADS, _THREADS.replace("import mlops_magics.serving.__main__", ""))
    ]
    assert told[0].stdout == "[1]\n"
    assert told[1].stdout != "[1]\n"  # as it is without it


def test_a_worker_never_meets_mlflow() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _MODULES],
        env=environment(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[] set()"
    assert done.stderr == ""
