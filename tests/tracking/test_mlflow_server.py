"""A notebook is sent to a server only when it is there; what it does there is in ``tests/stores``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store


def test_a_store_that_does_not_answer_is_not_chosen(
    shell: Any, run: Callable[..., Any], store_file: Path
) -> None:
    from mlops_magics.foundation.errors import UnavailableError

    assert store_file
    with pytest.raises(UnavailableError):
        run(shell, "%mlops --store http://127.0.0.1:9")
    assert open_store(Settings.discover()).local
