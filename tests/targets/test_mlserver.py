"""MLServer's settings; that MLServer takes them was tried by hand, it cannot be installed beside ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from served import ask_for
from written_targets import target_in

from mlops_magics.foundation.errors import MLOpsError


def written(tmp: Path, **changes: Any) -> Path:
    folder = target_in(tmp / "project", "mlserver").deploy(ask_for(tmp, **changes)).folder
    assert folder is not None
    return folder


@pytest.mark.parametrize(("workers", "parallel"), [(1, 0), (3, 3)])
def test_the_settings_name_the_model_beside_them(tmp_path: Path, workers: int, parallel: int) -> None:
    folder = written(tmp_path, name="1e3", workers=workers, port=9000)
    model = json.loads((folder / "model-settings.json").read_text())
    assert model == {
        "name": "1e3",
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": "./model", "version": "1"},
    }
    assert (folder / "model" / "MLmodel").is_file()
    settings = json.loads((folder / "settings.json").read_text())
    assert settings == {"host": "127.0.0.1", "http_port": 9000, "parallel_workers": parallel}
    pins = (folder / "requirements.txt").read_text().splitlines()
    assert {"mlserver==1.7.1", "mlserver-mlflow==1.7.1", "uvloop<0.22"} < set(pins)
    assert len([pin for pin in pins if pin.startswith("mlflow==")]) == 1


@pytest.mark.parametrize(
    "changes",
    [{"allow_pickle": True}, {"allow_code": True}, {"image": "x"}, {"replicas": (1, 2)}, {"port": 1}],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(MLOpsError):
        written(tmp_path, **changes)
