"""Who moves an alias tells the endpoints that follow it, and nobody else."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from nudged import TOLD, waiting

from mlops_magics.artifact.state import State
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.local_nudge import nudge


def test_only_who_follows_this_model_is_told(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, store="sqlite:///mlflow.db", state=tmp_path / "state")
    nudge(settings, "flights")  # there is no folder yet
    folder = settings.state / "endpoints"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("{")
    path = folder / "flights-1.json"
    with waiting() as (process, told):
        _ask(settings, process, told, path)


def _ask(settings: Settings, process: subprocess.Popen[bytes], told: State, path: Path) -> None:
    others = (
        replace(told, follow=None),
        replace(told, model="other"),
        replace(told, node="elsewhere", birth=""),
        replace(told, started=told.started - 3600.0, birth=""),  # its number was another process's
    )
    for other in others:
        path.write_bytes(other.to_json())
        nudge(settings, "flights")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    path.write_bytes(told.to_json())
    nudge(settings, "flights")
    assert process.wait(10) == TOLD
    nudge(settings, "flights")  # it has ended meanwhile
