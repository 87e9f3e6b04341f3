"""Where an alias points: read without MLflow, and as MLflow would say it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from following import Registry
from servers import mlflow_with_users, signed_in

from mlops_magics.foundation.errors import MLOpsError, UnavailableError
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.pointer import Pointed, pointed
from mlops_magics.tracking.store import open_store

CHAMPION = ModelAddress("flights", alias="champion")
NOBODY = (ModelAddress("flights", alias="nobody"), ModelAddress("nothing", alias="champion"))

_ALONE = """
import sys
from mlops_magics.foundation.names import ModelAddress
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.pointer import pointed
from mlops_magics.frontends.follow import watching
print(pointed(Settings.discover(), ModelAddress("flights", alias="champion")).version)
heavy = {"mlflow", "numpy", "pandas", "sqlalchemy", "requests", "IPython", "sklearn", "ssl"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_a_sqlite_store_is_asked_without_mlflow(project: Path, store_file: Path) -> None:
    made = Registry(project)
    versions = [made.add(constant) for constant in (1.0, 2.0)]
    settings = Settings.discover()
    for version in versions:
        made.point(version)
        whole = registry.resolve(open_store(settings), CHAMPION)
        assert pointed(settings, CHAMPION) == Pointed(version, whole.digest)
    assert [pointed(settings, address) for address in NOBODY] == [None, None]
    said = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["2", "[]"]
    made.client.delete_model_version_tag("flights", "2", "mlops.manifest")
    assert pointed(settings, CHAMPION) == Pointed("2", None)
    store_file.unlink()
    with pytest.raises(UnavailableError, match="cannot be read"):
        pointed(settings, CHAMPION)
    assert not store_file.exists()


@pytest.mark.slow
def test_a_server_is_asked_as_mlflow_asks_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    with mlflow_with_users(tmp_path / "server", {"ann": "anns-own-word-1"}) as url:
        settings = replace(Settings.discover(), store=url)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with signed_in("ann", "anns-own-word-1"):
            made = Registry(project)
            made.point(made.add(1.0))
            found = pointed(settings, CHAMPION)
            assert found == Pointed("1", made.tags("1")["mlops.manifest"])
            assert pointed(settings, NOBODY[0]) is None
            with pytest.raises(UnavailableError, match="it answers 403"):  # a reader may not know of no model
                pointed(settings, NOBODY[1])
        named = replace(settings, store=url.replace("//", "//ann:anns-own-word-1@"))
        assert pointed(named, CHAMPION) == found
        monkeypatch.setenv("HOME", str(tmp_path))
        for address in (settings, replace(settings, store=url.replace("//", "//ann:another@"))):
            with pytest.raises(UnavailableError, match="it answers 401") as caught:
                pointed(address, CHAMPION)
            assert "another" not in str(caught.value)
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = anns-own-word-1\n"
        )
        assert pointed(settings, CHAMPION) == found
    with pytest.raises(MLOpsError, match="cannot be asked"):
        pointed(settings, CHAMPION)
