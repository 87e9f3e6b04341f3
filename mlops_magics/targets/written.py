"""What all targets share that write files: a folder a deployment, in the project unless another is named."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError, nearest
from mlops_magics.foundation.locks import locked
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Answer, Difference, Endpoint, Request
from mlops_magics.targets.folder import Content, Folder
from mlops_magics.targets.standby import Standby

_FOLDER: Final = "deploy"
_LOCK: Final = 60.0  # seconds: another kernel may be copying a large model


class WrittenTarget(abc.ABC):
    """A target that writes files and starts nothing: what is live is another tool's to say.

    Args:
        settings: The settings; files go to ``deploy/<name>/<target>`` of the project's root.
        store: The store's shown address.
    """

    name: ClassVar[str]
    contracts: ClassVar[bool] = True
    """Whether what runs there is our own server, which holds requests against contracts."""

    def __init__(self, settings: Settings, store: str) -> None:
        self._settings = settings
        self._store = store

    @abc.abstractmethod
    def files(self, request: Request) -> Mapping[str, Content]:
        """Make the files: the same bytes for the same request.

        Args:
            request: What is to be served; its name is one of ours.

        Returns:
            Path in the folder -> content.

        Raises:
            UsageError: The name or an option does not fit this target.
        """

    @abc.abstractmethod
    def then(self, request: Request, folder: str) -> tuple[str, ...]:
        """Say which commands bring the files to life, and what else has to be known.

        Args:
            request: What was written.
            folder: Where, as it is written in a command.
        """

    def plan(self, request: Request) -> tuple[Difference, ...]:
        """Say which files and fields would differ, and write nothing."""
        return self._folder(request.name, request.into).differences(self.files(request))

    def deploy(self, request: Request, *, standby: Standby | None = None) -> Endpoint:
        """Write the files, all or none.

        Args:
            request: What is to be served.
            standby: Not used.

        Returns:
            What was written, and the commands that follow.

        Raises:
            UsageError: The name or an option does not fit this target.
            RefusedError: A file was changed by hand, or the folder holds something else.
            UnavailableError: It cannot be written; what was there is there still.
        """
        del standby
        folder = self._folder(request.name, request.into)
        with self._lock():
            about = {
                "name": request.name,
                "target": self.name,
                "model": request.model,
                "version": request.version,
                "digest": request.digest,
                "workers": request.workers,
            }
            folder.replace(self.files(request), about)
        return self._endpoint(folder, about, self.then(request, self._shown(folder.path)))

    def remove(self, name: str, *, into: Path | None = None) -> Endpoint:
        """Delete the files that were written; others, and those that were changed since, stay.

        Args:
            name: The deployment.
            into: The folder that it was written to, where that was named.

        Returns:
            The deployment as it was.

        Raises:
            NotFoundError: There is none of this name.
        """
        folder = self._folder(name, into)
        with self._lock():
            record = folder.record()
            if record is None or record.about.get("name") != name:
                self._missing(name)
            folder.clear()
            if into is None:
                self._tidy(folder.path.parent)
        return self._endpoint(folder, record.about)

    def list(self) -> tuple[Endpoint, ...]:
        """List the deployments that are written in the project, by name."""
        found = []
        for path in sorted((self._settings.root / _FOLDER).glob(f"*/{self.name}")):
            record = Folder(path).record()
            if record is not None:
                found.append(self._endpoint(Folder(path), record.about))
        return tuple(found)

    def call(self, name: str, body: bytes, *, content_type: str = "application/json") -> Answer:
        """Refuse: files answer nobody.

        Raises:
            UnavailableError: Always, with where to ask instead.
        """
        del body, content_type
        if name not in [item.name for item in self.list()]:
            self._missing(name)
        raise UnavailableError(
            f"{name} is written for {self.name}, which this machine does not run.",
            "Ask it at its own address, with the token in the header Authorization: Bearer.",
        )

    # -- what is where ---------------------------------------------------------------------------

    def _folder(self, name: str, into: Path | None) -> Folder:
        place = self._settings.root / _FOLDER / checked_name(name, "endpoint") / self.name
        return Folder(place if into is None else into.absolute())

    def _shown(self, path: Path) -> str:
        """Write a folder as a command would, from the project's root where it lies there."""
        root = self._settings.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

    def _endpoint(self, folder: Folder, about: Mapping[str, Any], then: tuple[str, ...] = ()) -> Endpoint:
        return Endpoint(
            name=str(about.get("name", "")),
            url="",
            model=str(about.get("model", "")),
            version=str(about.get("version", "")),
            port=0,
            pid=0,
            started=0.0,
            status="written",
            workers=int(about.get("workers", 1)),
            target=self.name,
            store=self._store,
            folder=folder.path,
            then=then,
        )

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self._settings.state / "deploy.lock", seconds=_LOCK)

    def _tidy(self, folder: Path) -> None:
        """Delete the folders that held nothing else."""
        for path in (folder, self._settings.root / _FOLDER):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def _missing(self, name: str) -> NoReturn:
        known = [endpoint.name for endpoint in self.list()]
        raise NotFoundError(
            f"Nothing named {name} is written for {self.name}.",
            nearest(name, known) or f"Write it with %mlops_deploy MODEL --to {self.name}.",
        )


def one_copy(request: Request, target: str) -> None:
    """Refuse a number of copies where a target runs one.

    Raises:
        UsageError: Copies were asked for.
    """
    if request.replicas is not None:
        raise UsageError(
            f"The target {target} runs one copy.", "Leave --replicas out; --workers says how many processes."
        )
