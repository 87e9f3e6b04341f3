"""A version needs its files: none comes to be where the database answers and the file store does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store


def test_no_version_comes_to_be_while_the_files_cannot_be_reached(
    book: Callable[[str], Any], registered: ModelVersion, project: Path
) -> None:
    files, away = project / "mlartifacts", project / "away"
    files.rename(away)
    files.write_text("where the folder should be")
    with pytest.raises(MLOpsError) as caught:
        book("%mlops_register run flights")
    assert caught.value.remedy
    store = open_store(Settings.discover())
    assert [one.version for one in registry.versions(store, "flights")] == [registered.version]
    files.unlink()
    away.rename(files)
    assert book("%mlops_register run flights").version == "2"
