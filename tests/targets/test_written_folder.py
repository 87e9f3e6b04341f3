"""A folder that is written: whole or not at all, others' files untouched, whatever is killed or torn."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from written_targets import contents

from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.targets.base import Difference
from mlops_magics.targets.folder import RECORD, Folder, Record

ABOUT = {"name": "flights"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "deploy" / "flights" / "box")
    made.replace({"a.json": b'{"n": 1}', "sub/b.txt": b"old"}, ABOUT)
    return made


def test_differences_are_named_by_file_and_by_field(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"old")
    files: dict[str, Any] = {
        "a.json": b'{"n": true, "m": ["y"]}',
        "c.txt": b"",
        "sub/b.txt": tmp_path / "source",
    }
    assert folder.differences(files) == (
        Difference("added", "a.json: m[0]", "", '"y"'),
        Difference("changed", "a.json: n", "1", "true"),
        Difference("added", "c.txt"),
    )
    assert folder.differences({}) == (Difference("removed", "a.json"), Difference("removed", "sub/b.txt"))
    assert folder.differences({"a.json": b'{"n":1}', "sub/b.txt": b"old"}) == (
        Difference("changed", "a.json"),
    )
    assert folder.differences({"a.json": b"{", "sub/b.txt": b"old"}) == (Difference("changed", "a.json"),)


def test_what_others_put_beside_stays_and_what_is_no_longer_wanted_goes(folder: Folder) -> None:
    (folder.path / "sub" / "mine.txt").write_text("mine")
    (folder.path / "link").symlink_to("a.json")
    folder.replace({"c.txt": b"new"}, ABOUT)
    assert sorted(contents(folder.path)) == [RECORD, "c.txt", "sub/mine.txt"]
    assert (folder.path / "link").is_symlink()
    assert [path.name for path in folder.path.parent.iterdir()] == ["box"]


def test_what_was_changed_by_hand_is_never_lost(folder: Folder) -> None:
    (folder.path / "a.json").write_text("mine")
    with pytest.raises(RefusedError, match="changed by hand"):
        folder.replace({"a.json": b"2"}, ABOUT)
    with pytest.raises(RefusedError, match="changed by hand"):
        folder.replace({}, ABOUT)
    folder.replace({"a.json": b"mine"}, ABOUT)  # it is what it should be
    (folder.path / "new.txt").write_text("mine")
    with pytest.raises(RefusedError, match=r"new\.txt was changed by hand"):
        folder.replace({"new.txt": b"ours"}, ABOUT)
    assert (folder.path / "new.txt").read_text() == "mine"


@pytest.mark.parametrize("there", ["file", "link", "full"])
def test_a_folder_that_is_anothers_is_refused(there: str, tmp_path: Path) -> None:
    path, other = tmp_path / "box", tmp_path / "other"
    other.mkdir()
    if there == "file":
        path.write_text("mine")
    elif there == "link":
        path.symlink_to(other)
    else:
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    with pytest.raises(RefusedError, match="did not write"):
        Folder(path).replace({"a": b""}, ABOUT)
    assert list(other.iterdir()) == []


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b'{"about": {}, "files": {"../out.txt": "x"}}',
        b'{"about": {}, "files": {"/etc/passwd": "x"}}',
        b'{"about": {}, "files": {"out/x.txt": "x"}}',
        b'{"about": 3, "files": {}}',
    ],
)
def test_a_record_that_was_changed_leads_nowhere(folder: Folder, tmp_path: Path, record: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.txt").write_text("mine")
    (folder.path / "out").symlink_to(tmp_path / "out")
    (folder.path / RECORD).write_bytes(record)
    for ask in (folder.record, folder.clear, lambda: folder.replace({}, ABOUT)):
        with pytest.raises(RefusedError):
            ask()
    assert (tmp_path / "out" / "x.txt").read_text() == "mine"


@pytest.mark.parametrize("call", range(1, 3))
def test_a_kill_between_any_two_renames_leaves_a_whole_folder(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    before = contents(folder.path)
    renamed, count = Path.rename, 0

    def killed(self: Path, to: Path) -> Path:
        nonlocal count
        count += 1
        if count == call:
            raise KeyboardInterrupt
        return renamed(self, to)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.replace({"c.txt": b"new"}, ABOUT)
    monkeypatch.undo()
    left = sorted(path.name for path in folder.path.parent.iterdir())
    assert folder.record() is not None
    assert folder.differences({name: text for name, text in before.items() if name != RECORD}) == ()
    assert sorted(path.name for path in folder.path.parent.iterdir()) == left  # a look changes nothing
    folder.replace({"c.txt": b"new"}, ABOUT)
    assert sorted(contents(folder.path)) == [RECORD, "c.txt"]
    assert [path.name for path in folder.path.parent.iterdir()] == ["box"]
    assert folder.record() == Record(ABOUT, {"c.txt": hashlib.sha256(b"new").hexdigest()})


def test_a_source_that_cannot_be_read_leaves_what_was_there(folder: Folder, tmp_path: Path) -> None:
    before = contents(folder.path)
    with pytest.raises(UnavailableError, match="cannot be written"):
        folder.replace({"a.json": tmp_path / "gone"}, ABOUT)
    assert contents(folder.path) == before
    assert os.listdir(folder.path.parent) == ["box"]  # noqa: PTH208 - names are compared
