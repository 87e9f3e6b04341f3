import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import private_folder, write_atomic


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_is_private_is_so_under_any_umask(tmp_path: Path, mask: int) -> None:
    with _umask(mask):
        folder = private_folder(tmp_path / "a" / "b")
        write_atomic(folder / "secret", "s", private=True)
        write_atomic(folder / "plain", "p")
    assert _mode(folder) == 0o700
    assert _mode(folder / "secret") == 0o600
    assert _mode(folder / "plain") == 0o666 & ~mask


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert _mode(private_folder(tmp_path / "open")) == 0o700


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnavailableError, match="cannot be made"):
            private_folder(path)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    for content in ("é", b"\0\xff"):
        write_atomic(tmp_path / "f", content)
        assert (tmp_path / "f").read_bytes() == (content.encode() if isinstance(content, str) else content)
    long = tmp_path / ("n" * 250)
    write_atomic(long, "x")
    assert {item.name for item in tmp_path.iterdir()} == {"f", long.name}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_after_a_failure_the_previous_content_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    write_atomic(tmp_path / "f", "before")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises((UnavailableError, KeyboardInterrupt)) as caught:
        write_atomic(tmp_path / "f", "after")
    if isinstance(error, OSError):
        assert str(tmp_path / "f") in caught.value.what
        assert "(5 bytes)" in caught.value.what
        assert "No space left" in caught.value.what
    assert [item.name for item in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "before"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    file, contents = tmp_path / "f", {"a" * 100_000, "b" * 100_000}
    write_atomic(file, "a" * 100_000)
    done = threading.Event()

    def write() -> None:
        for _ in range(30):
            for content in contents:
                write_atomic(file, content)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(file.read_text())
    writer.join()
    assert seen <= contents
