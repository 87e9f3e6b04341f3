"""Where the local target keeps things: an endpoint's files, and the models that endpoints serve."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.artifact.manifest import verify
from mlops_magics.artifact.paths import mail_path, secrets_path
from mlops_magics.artifact.state import State
from mlops_magics.foundation.errors import MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.files import private_folder, write_atomic

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_TAIL = 16_384  # bytes of a log that are read for its last lines
_AGAIN = "Register the model again; its files are then copied and listed anew."


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one endpoint.

    Attributes:
        folder: This user's state folder.
        key: The endpoint's name and a digest of its store, so that two stores' endpoints do not meet.
    """

    folder: Path
    key: str

    @property
    def state(self) -> Path:
        """What its supervisor says."""
        return self.folder / "endpoints" / f"{self.key}.json"

    @property
    def mail(self) -> Path:
        """What its supervisor is asked."""
        return mail_path(self.state)

    @property
    def token_file(self) -> Path:
        """The raw token."""
        return self.folder / "keys" / self.key

    @property
    def further(self) -> Path:
        """The folder of the raw tokens beside it, each under its name."""
        return self.folder / "keys" / f"{self.key}.d"

    @property
    def log(self) -> Path:
        """What its processes wrote."""
        return self.folder / "logs" / f"{self.key}.log"

    @property
    def journal(self) -> Path:
        """What came to it and what it answered."""
        return self.folder / "journals" / self.key

    def token(self) -> str:
        """Read the endpoint's token, or make one.

        Raises:
            UnavailableError: The key file cannot be read or written.
        """
        try:
            return self.token_file.read_text(encoding="ascii")
        except FileNotFoundError:
            private_folder(self.token_file.parent)
            token = secrets.token_urlsafe(32)
            write_atomic(self.token_file, token, private=True)
            return token
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(
                f"The key of {self.key} cannot be read: {type(error).__name__}.",
                f"Make {self.token_file} readable for you, or delete it: the next deploy writes another.",
            ) from error

    def last_words(self, begun: int, lines: int = 5) -> str:
        """Read the last lines that were logged after a position in the log."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(begun if begun <= size else 0, size - _TAIL))
                said = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([line for line in said if line.strip()][-lines:])

    def clear(self) -> None:
        """Delete all of them."""
        beside = self.state.parent.glob(f"{glob.escape(self.state.name)}.*")  # order, tokens, what was killed
        for path in (self.mail, self.state, self.token_file, secrets_path(self.state), *beside):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.further, ignore_errors=True)
        self.clear_log()

    def clear_log(self) -> None:
        """Delete what its processes wrote."""
        for path in (self.log, self.log.with_name(self.log.name + ".1")):
            path.unlink(missing_ok=True)


def store_mark(store: str) -> str:
    """Digest a store's address to the mark that its endpoints' keys end with."""
    return hashlib.sha256(store.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Depot:
    """The model folders that endpoints serve, each under its digest.

    A copy of our own: neither the registry's garbage collection nor an edit reaches a worker that is
    started again in a month.

    Attributes:
        folder: This user's state folder.
    """

    folder: Path

    def keep(self, source: Path, digest: str) -> Path:
        """Copy a model folder, unless a sound copy is there.

        Args:
            source: The folder.
            digest: Its digest.

        Returns:
            The copy.

        Raises:
            RefusedError: The folder is not what the digest says, or holds something else than plain files.
            UnavailableError: It cannot be copied.
        """
        match = _DIGEST.fullmatch(digest)
        if not match:
            raise RefusedError(f"{digest[:80]!r} is not the digest of a model.", _AGAIN)
        kept = self._models / match[1]
        if kept.is_dir():
            if _sound(kept, digest):
                return kept
            shutil.rmtree(kept)
        private_folder(self._models)
        incoming = self._models / f".{match[1]}"
        shutil.rmtree(incoming, ignore_errors=True)
        private_folder(incoming)
        try:
            _copy(source, incoming)
            verify(incoming, digest)
            incoming.rename(kept)
        except OSError as error:
            raise UnavailableError(
                f"The model cannot be copied to {self._models}: {error.strerror} ({error.filename}).",
                "Free some space, or check the permissions.",
            ) from error
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return kept

    def prune(self) -> None:
        """Delete the copies that no endpoint of this user serves."""
        served = set()
        for path in (self.folder / "endpoints").glob("*.json"):
            try:
                state = State.read(path)
            except MLOpsError:
                return  # a newer release wrote it
            if state is None:
                return  # it may serve any of them
            served.add(state.digest.removeprefix("sha256:"))
            if state.beside:
                served.add(state.beside.digest.removeprefix("sha256:"))
        for path in self._entries():
            if path.name not in served:
                shutil.rmtree(path, ignore_errors=True)

    @property
    def _models(self) -> Path:
        return self.folder / "models"

    def _entries(self) -> Iterator[Path]:
        if self._models.is_dir():
            yield from self._models.iterdir()


def _sound(folder: Path, digest: str) -> bool:
    try:
        verify(folder, digest)
    except MLOpsError:
        return False
    return True


def _copy(source: Path, copy: Path) -> None:
    """Copy plain files into private ones; a link could lead anywhere, and is refused."""
    with os.scandir(source) as found:
        for entry in found:
            path = copy / entry.name
            if entry.is_dir(follow_symlinks=False):
                path.mkdir(mode=0o700)
                _copy(Path(entry.path), path)
            elif entry.is_file(follow_symlinks=False):
                shutil.copyfile(entry.path, path, follow_symlinks=False)
                path.chmod(0o600)
            else:
                raise RefusedError(f"{entry.name} in the model folder is no plain file.", _AGAIN)
