"""Every place where a search fits keeps the kit's rules: ours, and a guest that is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from mlops_magics.testing import tuners
from mlops_magics.tuners import TUNERS

GUEST = """
from mlops_magics.tuners.local import LocalCrew, LocalWorker


class Crew(LocalCrew):
    "Processes of this machine, under a name of its own."


class Greedy(Crew):
    def __init__(self, task, *, workers, most, threads):
        super().__init__(task, workers=workers, most=workers or most, threads=threads)


class Flattering(Crew):
    def answer(self, seconds):
        heard = super().answer(seconds)
        if heard and heard[1] and heard[1][0] == "fold":
            return heard[0], (*heard[1][:3], 0.0, heard[1][4])
        return heard


class Lasting(Crew):
    kept = []

    def __exit__(self, *given):
        Lasting.kept, self.workers = self.workers, []
        self._folder.cleanup()
"""
POINTS = "[mlops_magics.tuners]\n" + "\n".join(
    f"{name.lower()} = guest_crew:{name}" for name in ("Crew", "Greedy", "Flattering", "Lasting")
)
RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="make test-slow installs Ray")
OURS = [pytest.param(name, marks=[pytest.mark.slow, RAY] if name == "ray" else []) for name in TUNERS.table]


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "guest_crew-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-crew\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "guest_crew.py").write_text(GUEST)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "guest_crew", raising=False)


@pytest.mark.parametrize("rule", tuners.RULES)
@pytest.mark.parametrize("name", OURS)
def test_ours_keep_every_rule(name: str, rule: tuners.Rule, tmp_path: Path) -> None:
    rule(TUNERS.get(name), tmp_path)


@pytest.mark.usefixtures("guest")
def test_a_guest_is_found_by_name_and_keeps_the_rules(tmp_path: Path) -> None:
    assert "crew" in list(TUNERS)
    tuners.it_judges_as_the_task_does(TUNERS.get("crew"), tmp_path)


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize(
    ("name", "rule", "words"),
    [
        ("greedy", tuners.it_judges_as_the_task_does, "no more workers start than have something to do"),
        ("flattering", tuners.it_judges_as_the_task_does, "the score is .* as the task's, not 0.0"),
        ("lasting", tuners.it_ends_in_the_middle_of_a_fit, "no fit goes on after the end"),
    ],
)
def test_a_guest_that_breaks_a_rule_is_found_out(
    name: str, rule: tuners.Rule, words: str, tmp_path: Path
) -> None:
    make = TUNERS.get(name)
    with pytest.raises(AssertionError, match=words):
        rule(make, tmp_path)
    for worker in getattr(make, "kept", ()):
        worker.end()
