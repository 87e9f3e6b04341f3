"""A second version beside a live one, with real processes: put there, asked, stopped, gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from served import EXAMPLE, answer_of, ask_for, end_all, state_of, target, until

from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.targets.call import post
from mlops_magics.targets.local import LocalTarget


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    end_all(folder)


def answers(local: LocalTarget, count: int) -> Counter[float]:
    return Counter(answer_of(local) for _ in range(count))


def named(local: LocalTarget, version: str) -> float:
    (endpoint,) = local.list()
    token = local.key_file("flights").read_text()
    answer = post(endpoint, EXAMPLE, token=token, version=version)
    assert answer.status == 200
    return float(orjson.loads(answer.body)["predictions"][0])


def test_a_canary_stands_beside_the_live_version_until_the_next_deploy(tmp_path: Path, state: Path) -> None:
    local = target(state)
    with pytest.raises(RefusedError, match="nothing can stand beside it"):
        local.deploy(ask_for(tmp_path, 2.0, beside="canary", percent=50.0))
    live = local.deploy(ask_for(tmp_path, 1.0, workers=2))
    both = local.deploy(ask_for(tmp_path, 2.0, beside="canary", percent=50.0))
    assert (both.port, both.version, both.workers) == (live.port, "1", 2)
    assert both.beside == "version 2 as a canary, 50 % of the requests"
    found = answers(local, 60)
    assert set(found) == {1.0, 2.0}
    assert (named(local, "1"), named(local, "2")) == (1.0, 2.0)
    assert len(list((state / "models").iterdir())) == 2, "both are kept for workers that are started again"

    shadowed = local.deploy(ask_for(tmp_path, 2.0, beside="shadow"))
    assert shadowed.beside == "version 2 as a shadow"
    assert answers(local, 20) == {1.0: 20}

    alone = local.deploy(ask_for(tmp_path, 2.0))
    assert (alone.version, alone.beside) == ("2", "")
    assert answers(local, 10) == {2.0: 10}
    until(lambda: len(list((state / "models").iterdir())) == 1 or local.deploy(ask_for(tmp_path, 2.0)))
    assert state_of(state).beside is None


def test_a_canary_that_answers_its_example_wrongly_never_answers_anybody(tmp_path: Path, state: Path) -> None:
    local = target(state)
    local.deploy(ask_for(tmp_path, 1.0))
    with pytest.raises(UnavailableError, match="other predictions"):
        local.deploy(ask_for(tmp_path, 2.0, beside="canary", percent=90.0, expected=[7.0, 7.0]))
    assert local.list()[0].beside == ""
    assert answers(local, 20) == {1.0: 20}
