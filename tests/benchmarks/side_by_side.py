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
    """Make the environment of a fresh process: no settings of this shell, a state folder, nothing sent anywhere."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLOPS_", "MLFLOW_")) and key != "PYTHONDONTWRITEBYTECODE"
    }
    own = {"MLOPS_STATE": str(folder / "state"), "IPYTHONDIR": str(folder / "ipython")}
    # Some peers report to their makers and would be timed while they wait for them.
    quiet = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "YDATA_PROFILING_NO_ANALYTICS": "1"}
    return kept | own | quiet | {"MPLBACKEND": "Agg"}


class SideError(Exception):
    """A side that did not end well, with the last of what it printed."""


def fresh(
    source: str,
    *arguments: str,
    python: Path | str = sys.executable,
    folder: Path | None = None,
    timeout: float | None = None,
) -> dict:
    """Run Python source in a fresh process and return the JSON that it prints last.

    Args:
        source: Prints one JSON object as its last line.
        arguments: What it finds in ``sys.argv``.
        python: Another environment's interpreter.
        folder: Where it runs; a fresh folder by default.
        timeout: After this many seconds it is ended.

    Raises:
        SideError: It failed or took too long.
    """
    with tempfile.TemporaryDirectory() as name:
        try:
            done = subprocess.run(
                [python, "-W", "ignore", "-c", source, *arguments],
                cwd=folder or name,
                env=environment(Path(name)),
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise SideError(f"not done in {timeout:.0f} s") from error
    if done.returncode:
        raise SideError(f"it ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    found: dict = json.loads(done.stdout.strip().splitlines()[-1])
    return found


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
            try:
                one = fresh(source, folder=folder)
            except SideError as error:
                sys.exit(f"{name} failed:\n{error}")
            if turn:
                found[name].append(one)
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
