"""What the benchmarks share: fresh processes in turn, medians, and a record in RESULTS.md.

Machines are noisy, so the sides take turns in one run, each in a fresh process, and what is quoted is
the ratio of their medians. Bytecode is written, as on anybody's machine.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("RESULTS.md")
_PACKAGES = ("mlops-magics", "mlflow", "scikit-learn", "pandas", "numpy", "ipython", "uvicorn")


def environment(folder: Path) -> dict[str, str]:
    """Make the environment of a fresh process: no settings of this shell, a state folder of its own."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLOPS_", "MLFLOW_")) and key != "PYTHONDONTWRITEBYTECODE"
    }
    return kept | {"MLOPS_STATE": str(folder / "state"), "IPYTHONDIR": str(folder / "ipython")}


def in_turn(sides: Mapping[str, str], *, rounds: int, folder: Path | None = None) -> dict[str, list[dict]]:
    """Run each side's Python source in a fresh process, in turn, and collect the JSON that it prints last.

    Args:
        sides: Source by name. Each prints one JSON object as its last line.
        rounds: How often each is run, after one run that is thrown away.
        folder: Where they run; a fresh folder for each process by default.
    """
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, source in sides.items():
            with tempfile.TemporaryDirectory() as fresh:
                place = folder or Path(fresh)
                done = subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", source],
                    cwd=place,
                    env=environment(Path(fresh)),
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
            if turn:
                found[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return found


def median(found: list[dict], key: str) -> float:
    """Return the median of one figure over the rounds."""
    return statistics.median(item[key] for item in found)


def record(name: str, lines: list[str]) -> None:
    """Print the figures, and write them into RESULTS.md in the place of the older ones of that name."""
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    head = [
        f"## {name}",
        "",
        (
            f"`make bench NAME={name}` · {datetime.now(UTC):%Y-%m-%d} · Python {platform.python_version()}, "
            f"{os.cpu_count()} cores · {versions}"
        ),
        "",
    ]
    section = "\n".join([*head, *lines]) + "\n"
    print(section)
    text = RESULTS.read_text() if RESULTS.exists() else "# Side by side\n"
    before, _, rest = text.partition(f"## {name}\n")
    after = rest[rest.find("\n## ") + 1 :] if "\n## " in rest else ""
    RESULTS.write_text(before.rstrip() + "\n\n" + section + ("\n" + after if after else ""))


def main(run: Callable[[], None]) -> None:
    """Run a benchmark from the folder of the project, bytecode compiled."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "mlops_magics")], check=True)
    run()
    os.chdir(ROOT)  # the folder that it ran in is gone, and IPython looks at it once more
