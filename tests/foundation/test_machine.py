import os
from pathlib import Path
from types import SimpleNamespace

import psutil
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


GB = 1024**3
SECOND = {
    "memory.max": f"{4 * GB}\n",
    "memory.current": f"{3 * GB}\n",
    "memory.stat": f"anon 7\ninactive_file {GB}\n",
}
FIRST = {
    "memory.limit_in_bytes": f"{4 * GB}\n",
    "memory.usage_in_bytes": f"{3 * GB}\n",
    "memory.stat": f"inactive_file 7\ntotal_inactive_file {GB}\n",
}


@pytest.mark.parametrize(
    ("own", "groups", "left"),
    [
        ("", {}, 16 * GB),
        ("0::/\n", {"": SECOND}, 2 * GB),
        ("0::/\n", {"": {**SECOND, "memory.max": "max\n"}}, 16 * GB),
        ("0::/\n", {"": {**SECOND, "memory.max": f"{2 * GB}\n"}}, 0),
        ("0::/\n", {"": {**SECOND, "memory.max": f"{2 * GB - 1}\n"}}, 0),
        ("0::/\n", {"": {**SECOND, "memory.max": f"{64 * GB}\n"}}, 16 * GB),
        ("0::/\n", {"": {"memory.max": f"{GB}\n"}}, 16 * GB),
        ("0::/user/unit\n", {"user/unit": SECOND}, 2 * GB),
        ("0::/user/unit\n", {"user": SECOND, "user/unit": {**SECOND, "memory.max": "max\n"}}, 2 * GB),
        ("0::/user/unit\n", {"other": SECOND}, 16 * GB),
        ("5:cpu,memory:/docker/1\n0::/\n", {"memory": FIRST}, 2 * GB),
        ("5:memory:/docker/1\n", {"memory": {}, "memory/docker/1": FIRST}, 2 * GB),
        ("5:memory:/\n", {"memory": {**FIRST, "memory.limit_in_bytes": "9223372036854771712\n"}}, 16 * GB),
        ("spoilt\n", {"": SECOND}, 2 * GB),
    ],
)
def test_a_container_has_what_is_left_of_its_share_of_the_memory(
    own: str,
    groups: dict[str, dict[str, str]],
    left: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, files in groups.items():
        folder = tmp_path / "cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(content)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16 * GB))
    assert machine.free_memory() == left
