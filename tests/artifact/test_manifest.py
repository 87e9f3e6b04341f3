from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_magics.artifact import manifest
from mlops_magics.foundation.errors import NotFoundError, RefusedError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "sub").mkdir(parents=True)
    (made / "MLmodel").write_text("flavors: {}\n")
    (made / "sub" / "data.bin").write_bytes(bytes(range(256)) * 5000)
    return made


def test_a_folder_that_nobody_touched_is_accepted(folder: Path) -> None:
    digest = manifest.digest(folder)
    assert digest.startswith("sha256:")
    assert not (folder / manifest.NAME).exists(), "the folder may be somebody else's"
    assert manifest.write(folder) == digest
    manifest.verify(folder, digest)
    assert manifest.write(folder) == digest  # the manifest does not list itself
    copy = shutil.copytree(folder, folder.parent / "copy")
    assert manifest.write(copy) == digest


def _one_byte(folder: Path) -> None:
    path = folder / "sub" / "data.bin"
    content = bytearray(path.read_bytes())
    content[70_000] ^= 1
    path.write_bytes(content)


def _link(folder: Path) -> None:
    (folder / "passwd").symlink_to("/etc/passwd")


CHANGES: dict[str, Callable[[Path], object]] = {
    "sub/data.bin differs": _one_byte,
    "MLmodel is missing": lambda folder: (folder / "MLmodel").unlink(),
    "extra.py was added": lambda folder: (folder / "extra.py").write_text(""),
    "passwd in the model folder is no plain file": _link,
    "manifest.json differs": lambda folder: (folder / "manifest.json").write_text("{}"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_change_is_named(message: str, folder: Path) -> None:
    digest = manifest.write(folder)
    CHANGES[message](folder)
    with pytest.raises(RefusedError, match=message):
        manifest.verify(folder, digest)


def test_a_new_manifest_for_changed_files_has_another_digest(folder: Path) -> None:
    digest = manifest.write(folder)
    _one_byte(folder)
    manifest.write(folder)
    with pytest.raises(RefusedError, match=r"manifest\.json differs"):
        manifest.verify(folder, digest)


def test_a_folder_without_manifest_says_so(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        manifest.verify(folder, "sha256:0")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in files")
def test_a_pipe_is_refused_instead_of_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(RefusedError, match="pipe"):
        manifest.write(folder)
