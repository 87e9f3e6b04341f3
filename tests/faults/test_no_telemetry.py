"""Nothing is told to anybody: a whole session in a network of its own, in which all that leaves is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers import missing

TESTS = Path(__file__).parents[1]

# Each address is this machine's own in that network: a name that is looked up, and a connection to any place,
# comes here. Who listens is told before the session begins, and what was heard after its end.
LISTENING = """
import select, socket, subprocess, sys
doors = []
for kind, port in ((socket.SOCK_DGRAM, 53), (socket.SOCK_STREAM, 443), (socket.SOCK_STREAM, 80)):
    door = socket.socket(socket.AF_INET, kind)
    door.bind(("0.0.0.0", port))
    if kind == socket.SOCK_STREAM:
        door.listen(64)
    doors.append(door)
session = subprocess.Popen(sys.argv[1:])
while True:
    over = session.poll() is not None
    ready, _, _ = select.select(doors, [], [], 3 if over else 0.2)
    for door in ready:
        if door.type == socket.SOCK_DGRAM:
            question, _ = door.recvfrom(512)
            parts, at = [], 12
            while question[at]:
                parts.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace"))
                at += 1 + question[at]
            print("heard: name", ".".join(parts), flush=True)
        else:
            line, _ = door.accept()
            print("heard: connection", *line.getsockname(), flush=True)
            line.close()
    if over and not ready:
        sys.exit(session.returncode)
"""
SESSION = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import warnings
warnings.simplefilter("ignore")
from pages import ROOT, walk
from places import project_in, shell_in

def run(shell, source):
    done = shell.run_cell(source)
    done.raise_error()
    return done

if sys.argv[3] == "tutorial":
    with project_in(Path(sys.argv[2])) as folder, shell_in(Path(sys.argv[2])) as shell:
        run(shell, "%config MLOps.standby = False")
        walk(ROOT / "docs" / "tutorial.md", shell, run, folder)
else:
    import os
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "false"
    import mlflow
    mlflow.set_tracking_uri(f"sqlite:///{sys.argv[2]}/m.db")
    mlflow.set_experiment("e")
    with mlflow.start_run():
        mlflow.log_metric("a", 1)
print("the session ended well")
"""
ALONE = 'ip link set lo up && ip route add local default dev lo && exec "$@"'


def _heard(folder: Path, what: str) -> list[str]:
    """Do a session where nothing that says "a test" or "CI" is in the environment; what left it."""
    for program in ("unshare", "ip"):
        if not Path("/usr/bin", program).exists() and not Path("/usr/sbin", program).exists():
            missing(f"There is no {program}. Install it with: apt-get install util-linux iproute2")
    if os.geteuid() != 0:
        pytest.skip("A network of its own takes root.")
    command = ["unshare", "--net", "bash", "-c", ALONE, "alone", sys.executable, "-c", LISTENING]
    command += [sys.executable, "-c", SESSION, str(TESTS), str(folder), what]
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment |= {"HOME": str(folder), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=400
    )
    assert "the session ended well" in done.stdout, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return [line for line in done.stdout.splitlines() if line.startswith("heard:")]


@pytest.mark.slow
def test_from_a_table_to_a_monitored_endpoint_nobody_is_told_anything(tmp_path: Path) -> None:
    assert _heard(tmp_path, "tutorial") == []


@pytest.mark.slow
def test_what_mlflow_would_tell_by_itself_would_be_heard(tmp_path: Path) -> None:
    assert [line for line in _heard(tmp_path, "mlflow") if "telemetry" in line]
