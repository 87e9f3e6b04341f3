"""A folder that a target writes: it appears whole or not at all, and only what was written is taken away."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import orjson

from mlops_magics.foundation.errors import RefusedError, UnavailableError
from mlops_magics.targets.base import Difference
from mlops_magics.targets.fields import differing

Content = bytes | Path
"""What a file shall hold: these bytes, or those of another file."""

RECORD: Final = ".mlops-written"
"""What was written: no name that kubectl would read as a manifest."""

_FORMAT: Final = 1
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755  # the user in an image is another one, and must read them
_SMALL: Final = 1024 * 1024  # bytes of a file that is compared field by field


@dataclass(frozen=True, slots=True)
class Record:
    """What was written into a folder.

    Attributes:
        about: What a target noted.
        files: Path in the folder -> sha256.
    """

    about: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is written as a whole.

    Attributes:
        path: Where it is.
        verb: What writes it, as a refusal names it.
    """

    path: Path
    verb: str = "%mlops_deploy"

    def record(self) -> Record | None:
        """Read what was written into it; None where nothing was.

        Raises:
            RefusedError: The record was changed by hand, or leads out of the folder.
        """
        try:
            told = orjson.loads((self._place / RECORD).read_bytes())
            found = Record(dict(told["about"]), {str(key): str(told["files"][key]) for key in told["files"]})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, orjson.JSONDecodeError, TypeError, KeyError, ValueError) as error:
            raise RefusedError(
                f"{self.path / RECORD} cannot be read ({type(error).__name__}).",
                "Move the folder away; it is then written anew.",
            ) from error
        for name in found.files:
            self._inside(name)
        return found

    def differences(self, files: Mapping[str, Content]) -> tuple[Difference, ...]:
        """Compare what is there with what should be, by file, and by field where both are JSON."""
        record = self.record()
        known = record.files if record else {}
        return tuple(
            difference
            for name in sorted({*known, *files})
            for difference in self._difference(name, files.get(name))
        )

    def replace(self, files: Mapping[str, Content], about: Mapping[str, Any]) -> None:
        """Write all files anew. What others put beside them stays. Only one at a time may.

        Args:
            files: Path in the folder -> content.
            about: What is to be noted.

        Raises:
            RefusedError: A file that was written was then changed by hand; or the folder is another's.
            UnavailableError: It cannot be written; what was there is there still.
        """
        self._mend()
        record = self.record()
        self._refuse_hand_made(record, files)
        new, old = self._beside("new"), self._beside("old")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            new.chmod(_FOLDER_MODE)
            for name in sorted(files):
                _write(new, name, files[name])
            listed = {name: _digest(new / name) for name in sorted(files)}
            _write(new, RECORD, _json({"format": _FORMAT, "about": dict(about), "files": listed}))
            if self.path.exists():
                self._carry_over({RECORD, *(record.files if record else {})}, new)
                self.path.rename(old)
            new.rename(self.path)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            self._mend()
            raise UnavailableError(
                f"{self.path} cannot be written: {error.strerror} ({error.filename}).",
                "Free some space or choose a folder that is writable; what was there is there still.",
            ) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def clear(self) -> None:
        """Delete what was written and is as it was written; a file that was changed since stays."""
        self._mend()
        record = self.record()
        for name, digest in (record.files if record else {}).items():
            file = self.path / name
            if _digest(file) == digest:
                file.unlink()
        (self.path / RECORD).unlink(missing_ok=True)
        for folder in sorted((path for path in self.path.rglob("*") if path.is_dir()), reverse=True):
            _remove_if_empty(folder)
        _remove_if_empty(self.path)

    def _difference(self, name: str, content: Content | None) -> Iterator[Difference]:
        file = self._place / self._inside(name)
        there = _digest(file)
        wanted = None if content is None else _digest(content)
        if there == wanted:
            return
        if there is None:
            yield Difference("added", name)
        elif content is None:
            yield Difference("removed", name)
        elif isinstance(content, bytes) and name.endswith(".json") and file.stat().st_size < _SMALL:
            yield from differing(name, file.read_bytes(), content)
        else:
            yield Difference("changed", name)

    def _refuse_hand_made(self, record: Record | None, files: Mapping[str, Content]) -> None:
        if record is None:
            if self.path.is_symlink() or (self.path.exists() and (not self.path.is_dir() or _any(self.path))):
                raise RefusedError(
                    f"{self.path} holds what {self.verb} did not write.", "Choose an empty or a new folder."
                )
            return
        for name in {*record.files, *files}:
            there = _digest(self.path / self._inside(name))
            new = files.get(name)
            if there not in {None, record.files.get(name), None if new is None else _digest(new)}:
                raise RefusedError(
                    f"{self.path / name} was changed by hand since it was written.",
                    f"Keep your change in a file of your own, delete this one, and say {self.verb} again.",
                )

    def _inside(self, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise RefusedError(f"{name[:80]!r} leads out of {self.path}.", "Move the folder away.")
        if not (self._place / name).parent.resolve().is_relative_to(self._place.resolve()):
            raise RefusedError(f"{name[:80]!r} follows a link out of {self.path}.", "Move the folder away.")
        return name

    def _carry_over(self, ours: set[str], new: Path) -> None:
        """Take along what others put into the folder."""
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if name in ours or (path.is_dir() and not path.is_symlink()) or (new / name).exists():
                continue
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, new / name, follow_symlinks=False)

    @property
    def _place(self) -> Path:
        """Where the folder lies: beside its own place between two renames, or after a kill there."""
        old = self._beside("old")
        return old if old.is_dir() and not self.path.exists() else self.path

    def _beside(self, what: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{what}")

    def _mend(self) -> None:
        """Finish what a killed process left. Whoever only reads must not: another may be writing."""
        old = self._beside("old")
        if old.is_dir():
            if self.path.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(self.path)


def _write(folder: Path, name: str, content: Content) -> None:
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(exist_ok=True)
        (folder / parent).chmod(_FOLDER_MODE)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)
    path.chmod(_FILE_MODE)


def _digest(content: Content) -> str | None:
    """Digest bytes or a plain file; None where there is none."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    if content.is_symlink() or not content.is_file():
        return None
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _any(folder: Path) -> bool:
    return next(folder.iterdir(), None) is not None


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not _any(folder):
        folder.rmdir()


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS)
