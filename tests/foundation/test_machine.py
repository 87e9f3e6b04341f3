import os
from pathlib import Path

import pytest

from mlops_magics.foundation import machine


def test_a_system_is_known_by_its_own_id_which_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "machine-id"
    monkeypatch.setattr(machine, "_MACHINE", file)
    assert machine.installation() == ""
    found = set()
    for told in ("0" * 32, "1" * 32):
        file.write_text(f"{told}\n")
        found.add(machine.installation())
        assert machine.installation() == machine.installation()
        assert told not in machine.installation()
    assert len(found - {""}) == 2
    for spoilt in ("", "uninitialized\n", "0" * 31, "\xff" * 32):
        file.write_text(spoilt)
        assert machine.installation() == ""


@pytest.mark.parametrize(
    ("share", "most"),
    [
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("max 100000", 8),
        ("", 8),
        ("9 0", 8),
        ("1600000 100000", 8),
    ],
)
def test_a_container_computes_on_its_share_of_the_processors(
    share: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")
    assert machine.processors() == 8
    (tmp_path / "cpu.max").write_text(share)
    assert machine.processors() == most
