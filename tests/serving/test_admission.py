"""Two versions that bring modules of the same names: which orders put them into one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.artifact.order import Beside, Follow, Order
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.serving.admission import admitted


def model(tmp: Path, version: str, **code: str) -> Path:
    """Make a model folder with files of code, by their names; two underscores stand for a folder."""
    for name, content in code.items():
        file = tmp / version / "code" / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tmp / version).mkdir(exist_ok=True)
    return tmp / version


def order(tmp: Path, version: str) -> Order:
    return Order(
        name="flights",
        model_path=tmp / version,
        model="flights",
        version=version,
        digest=f"sha256:{version}",
        token_sha256="0" * 64,
        state_path=Path("flights.json"),
        log_path=Path("flights.log"),
        follow=Follow(alias="champion", mark="1"),
    )


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ({}, {}, ""),
        ({"table": "1"}, {}, ""),
        ({"table": "1"}, {"other": "2"}, ""),
        ({"table": "1", "same": "0"}, {"table": "1", "same": "0"}, ""),
        ({"table": "1"}, {"table": "2"}, "table"),
        ({"package__a": "1", "package__b": "1"}, {"package__a": "1", "package__b": "2"}, "package"),
        ({"package__a": "1"}, {"package__b": "1"}, "package"),
        ({"package": "1"}, {"package__a": "1"}, "package"),
    ],
)
def test_what_brings_other_modules_of_one_name_stands_beside_nothing(
    first: dict[str, str], second: dict[str, str], name: str, tmp_path: Path
) -> None:
    model(tmp_path, "1", **first)
    place = model(tmp_path, "2", **second)
    live, beside = order(tmp_path, "1"), Beside(role="shadow", model_path=place, version="2", digest="2")
    asked = replace(live, beside=beside, follow=None)
    if name:
        with pytest.raises(RefusedError, match=f"each bring a module {name} of their own") as caught:
            admitted(live, asked)
        assert caught.value.remedy.endswith("%mlops_deploy flights/2 --name flights-2")
    else:
        assert admitted(live, asked)[0].beside == beside
    moved = order(tmp_path, "1")  # the live version's alias moves, and nothing holds that up
    before = replace(live, model_path=tmp_path / "0", version="0", beside=beside)
    assert admitted(before, moved)[0].beside == (None if name else beside)
