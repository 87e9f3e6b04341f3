"""Wheel and sdist, built from what git tracks, installed in a fresh environment, and loaded."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = str(Path(sys.executable).with_name("uv"))

LOADED = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mlops_magics")
assert "mlflow" not in sys.modules
print(shell.run_line_magic("mlops_track", "e"))
import anywidget
from mlops_magics.frontends.widgets import CARDS
CARDS.get("Review")
from importlib.metadata import distribution
print(sorted(point.name for point in distribution("mlops-magics").entry_points))
"""


def run(*command: str, cwd: Path, **environment: str) -> str:
    # What the first process of the fresh environment compiles the next one reads, as at a user's.
    left_out = ("MLOPS_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both from the tracked files alone; what is built already in the tree must not help."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(UV, "build", "--quiet", "--out-dir", str(folder / "dist"), str(source), cwd=folder)
    return folder / "dist"


def test_both_hold_the_front_end_and_nothing_that_is_not_theirs(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert "mlops_magics/frontends/widgets/static/promote.js" in names
    assert "mlops_magics/py.typed" in names
    pages = {Path(name).stem for name in names if name.startswith("mlops_magics/pages/")}
    assert pages == {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index"}
    assert any(name.endswith("etc/jupyter/jupyter_server_config.d/mlops-magics.json") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "widgets/", "notebooks/"))]
    extension = "share/jupyter/labextensions/mlops-magics/"
    held = {name.partition(extension)[2] for name in names if extension in name}
    assert {"package.json", "install.json", "schemas/mlops-magics/plugin.json"} <= held
    assert [name for name in held if name.startswith("static/remoteEntry.")]
    assert not [name for name in names if name.startswith("mlops_magics/labextension")]  # it lands once
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        inside = [name.partition("/")[2] for name in packed.getnames()]
    assert "mlops_magics/frontends/widgets/static/promote.js" in inside
    assert "widgets/src/cards/promote.ts" in inside
    assert "mlops_magics/labextension/package.json" in inside
    assert not [name for name in inside if "node_modules" in name]
    assert sdist.stat().st_size < 6_000_000


def test_the_wheel_works_in_a_fresh_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, "env", cwd=tmp_path)
    python = str(tmp_path / "env" / "bin" / "python")
    constraints = str(ROOT / "constraints.txt")
    run(UV, "pip", "install", "--quiet", "--python", python, "-c", constraints, str(wheel), cwd=tmp_path)
    project = tmp_path / "project"
    (project / ".mlops").mkdir(parents=True)
    state = str(tmp_path / "state")
    said = run(python, "-W", "error::ImportWarning", "-c", LOADED, cwd=project, MLOPS_STATE=state)
    assert "Experiment e" in said
    targets = ("container", "kserve", "kubernetes", "local", "mlserver", "ray")
    assert str(["mlops", *(f"mlops-{name}" for name in targets), "mlops_magics"]) in said
    mlops = str(Path(python).with_name("mlops"))
    assert "mlops-magics" in run(mlops, "--version", cwd=project)
    page = run(mlops, "--page", "promote#a-policy", cwd=project, MLOPS_STATE=state)
    assert page.startswith("## A policy\n")
    assert "%mlops_track project" in run(mlops, cwd=project, MLOPS_STATE=state)
