"""Runs that wait on this machine's disk for a store that did not answer.

Each waits in a folder of its own, which is made whole or not at all; replaying writes it into the store
and takes the folder away. A kernel that is killed in between leaves the folder, and writing the same
draft again makes no second run.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.foundation.errors import MissingExtraError, MLOpsError, RefusedError, UnavailableError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.forms import NewerFormError
from mlops_magics.foundation.locks import locked
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.drafts import Draft, Written, settled
from mlops_magics.tracking.store import Store

AWAY = (UnavailableError, RefusedError, MissingExtraError)  # what a store raises that a run waits for
_DRAFT = "draft.json"
_PATIENCE = 20.0  # seconds to wait for another kernel that replays; where time is short that kernel does it
_MODEL = "model"
_KEPT = "kept"  # files as they are
_UNFINISHED = ".new-"  # a folder that is being made, or whose kernel died while it was


@dataclass(frozen=True, slots=True)
class Spool:
    """The waiting runs of one store.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> Spool:
        """Find the spool of the store that the settings name."""
        mark = hashlib.sha256(settings.store.encode()).hexdigest()[:16]
        return cls(settings.state / "spool" / mark)

    def __len__(self) -> int:
        return sum(1 for _ in self._waiting())

    def holds(self, key: str) -> bool:
        """Tell whether the draft of that key waits still, half written or not at all."""
        return any(path.name.endswith(f"-{key}") for path in self._waiting())

    def said(self, reason: MLOpsError | None) -> str:
        """Say what waits, and why.

        Args:
            reason: What the store raised; None where that is not known.
        """
        why = "" if reason is None else f" ({reason.what.rstrip('.')})"
        count = len(self)
        runs = "1 run waits" if count == 1 else f"{count} runs wait"
        said = f"The store does not answer{why}. {runs} on this machine and will be written when it does."
        # One that is down comes back by itself; of any other the user must know what to do.
        if isinstance(reason, RefusedError | MissingExtraError):
            return f"{said} {reason.remedy}"
        return said

    def add(self, draft: Draft, model: Path | None = None) -> None:
        """Keep a run until the store is back.

        Args:
            draft: The run.
            model: The folder of its model, which is copied.

        Raises:
            UnavailableError: The disk does not take it either.
        """
        made = self.folder / f"{_UNFINISHED}{uuid.uuid4().hex}"
        try:
            private_folder(self.folder.parent)
            private_folder(made)
            if model is not None:
                shutil.copytree(model, made / _MODEL)
            for path, content in draft.kept.items():
                (made / _KEPT / path).parent.mkdir(parents=True, exist_ok=True)
                (made / _KEPT / path).write_bytes(content)
            (made / _DRAFT).write_text(draft.to_json(), encoding="utf-8")
            made.rename(self.folder / f"{draft.begun:015d}-{draft.key}")
        except OSError as error:
            shutil.rmtree(made, ignore_errors=True)
            raise UnavailableError(
                f"The run can be kept neither in the store nor in {self.folder}: {error.strerror}.",
                "Everything is still in the notebook: make room or reach the store, and run the cell again.",
            ) from error

    def replay(self, store: Store, *, seconds: float | None = None) -> tuple[Written, ...]:
        """Write the waiting runs into the store, the oldest first.

        Args:
            store: The open store.
            seconds: When to stop; the rest waits for the next time. All are written by default.

        Returns:
            What was written.

        Raises:
            UnavailableError: The store failed again, or another kernel replays; what is left waits.
            RefusedError: The store's server does not let this user write.
            NewerFormError: A newer release keeps a run here; all others were written.
        """
        begun, done, newer = time.monotonic(), list[Written](), None
        if not self.folder.is_dir() or not len(self):
            return ()
        patience = _PATIENCE if seconds is None else 0.0
        with locked(self.folder.with_suffix(".lock"), seconds=patience):  # two kernels would write one twice
            for path in self._waiting():
                if seconds is not None and time.monotonic() - begun > seconds:
                    break
                try:
                    draft = _read(path)
                except NewerFormError as error:  # it waits for that release; those behind it do not
                    newer = error
                    continue
                if draft is None:
                    path.rename(path.with_name(f"broken-{path.name}"))
                    continue
                model = path / _MODEL
                done.append(settled(store, draft, model if model.is_dir() else None))
                shutil.rmtree(path)
        if newer is not None:
            raise newer
        return tuple(done)

    def _waiting(self) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            yield from sorted(path for path in self.folder.iterdir() if path.name[0].isdigit())


def _read(path: Path) -> Draft | None:
    folder = path / _KEPT
    try:
        files = [file for file in folder.rglob("*") if file.is_file()]
        kept = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
        return Draft.of_json((path / _DRAFT).read_text(encoding="utf-8")).with_(kept=kept)
    except NewerFormError:
        raise
    except (OSError, ValueError, MLOpsError):
        return None


def replayed(settings: Settings, store: Store, *, seconds: float | None = None) -> int:
    """Write what waits for a store that answers; what it does not take goes on waiting.

    Args:
        settings: Where the spool is.
        store: The open store.
        seconds: When to stop.

    Returns:
        How many runs still wait.
    """
    spool = Spool.of(settings)
    with contextlib.suppress(MLOpsError):
        spool.replay(store, seconds=seconds)
    return len(spool)
