"""A Ray that does not start is told as anything else that does not answer."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from mlops_magics.foundation.cluster import joined
from mlops_magics.foundation.errors import UnavailableError


class Late(ModuleType):
    """What Ray does where one of its processes takes too long to start."""

    ended = False

    def is_initialized(self) -> bool:
        return False

    def init(self, **_: object) -> None:
        raise Exception("The current node timed out during startup.\nAnd more.")  # noqa: TRY002 - as Ray has it

    def shutdown(self) -> None:
        Late.ended = True


def test_a_node_that_does_not_start_in_time_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", Late("ray"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    late = pytest.raises(UnavailableError, match="Ray does not start here: The current node timed out")
    with late as told, joined():
        pass
    assert told.value.remedy == "Leave --engine ray out."
    assert "more" not in told.value.what
    assert Late.ended
