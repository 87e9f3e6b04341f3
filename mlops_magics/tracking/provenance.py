"""Where a run came from: git, packages, the machine. Facts only; what is not known is left out."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import platform
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mlops_magics.foundation.masking import masked

_GIT_SECONDS = 3.0
_DIFF_BYTES = 1_000_000
_NAMED = 500
_LOOKED_AT = 2_000
_NOT_OURS = ("site-packages", "dist-packages", "node_modules", "__pycache__")


@dataclass(frozen=True, slots=True)
class Source:
    """What was executed and where it stands.

    Attributes:
        code: The cell's source as it was written, without its first magic line.
        line: The magic line itself.
        cell_id: The notebook's id of the cell; None where the front end sends none.
        notebook: The notebook's full path; None where it is not known, never guessed.
    """

    code: str
    line: str = ""
    cell_id: str | None = None
    notebook: str | None = None

    @property
    def mark(self) -> str:
        """A few characters by which a page tells whether the cell was edited since."""
        return f"{zlib.crc32(self.code.strip().encode()):08x}"

    @property
    def digest(self) -> str:
        """The identity of a cell that has no id: sha256 of its source."""
        import hashlib

        return hashlib.sha256(self.code.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class GitState:
    """A commit and what differs from it.

    Attributes:
        commit: The commit's full hash.
        branch: The branch, or None when detached.
        diff: The uncommitted changes of tracked files, masked; "" when there are none.
        untracked: How many files git does not know, ignored ones and notebooks left out; a folder of such
            files counts once.
        modules: The paths of Python files among them, from the repository's top, at most 500.
    """

    commit: str
    branch: str | None
    diff: str
    untracked: int
    modules: tuple[str, ...] = ()

    @property
    def dirty(self) -> bool:
        """Whether anything differs from the commit."""
        return bool(self.diff) or self.untracked > 0


def git_state(folder: Path) -> GitState | None:
    """Read the state of the repository that a folder is in.

    Args:
        folder: Any folder inside it.

    Returns:
        The state, or None without git, a repository or a commit, or when git takes over three seconds.
    """
    found = _git(folder, "rev-parse", "HEAD", "--show-toplevel")
    if found is None:
        return None
    head, _, top = found.rstrip("\n").partition("\n")
    status = _git(folder, "status", "--porcelain=v1", "--branch", "--untracked-files=normal", "-z") or ""
    lines = status.split("\0")
    branch = lines[0].removeprefix("## ").partition("...")[0]
    unknown = [line[3:] for line in lines[1:] if line.startswith("??") and not line.endswith(".ipynb")]
    changed = any(line and not line.startswith("??") for line in lines[1:])
    diff = (
        (_git(folder, "diff", "HEAD", "--no-ext-diff", "--no-color", "--", ":!*.ipynb") or "")
        if changed
        else ""
    )
    return GitState(
        head,
        None if branch.startswith("HEAD") else branch,
        masked(diff[: 2 * _DIFF_BYTES])[:_DIFF_BYTES],
        len(unknown),
        tuple(sorted(islice(_python_files(Path(top), unknown), _NAMED))),
    )


def _python_files(top: Path, unknown: Iterable[str]) -> Iterator[str]:
    """Name the Python files among what git does not know, a folder's files included.

    Looking into folders ends after some thousand entries: there may be data in them.
    """
    left = _LOOKED_AT
    open_ = list(unknown)
    while open_:
        path = open_.pop(0)
        if path.endswith(".py"):
            yield masked(path)
        if not path.endswith("/") or path.rstrip("/").endswith(_NOT_OURS) or left <= 0:
            continue
        with contextlib.suppress(OSError), os.scandir(top / path) as entries:
            for entry in islice(entries, left):
                left -= 1
                inside = entry.is_dir(follow_symlinks=False)
                if not entry.name.startswith(".") and (inside or entry.name.endswith(".py")):
                    open_.append(f"{path}{entry.name}{'/' if inside else ''}")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ("git", "-C", str(folder), *arguments),  # noqa: S607 - the user's own git is the right one
            capture_output=True,
            check=True,
            timeout=_GIT_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


@functools.cache
def installed() -> Mapping[str, str]:
    """List every installed distribution with its version; read once a session, in this process."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for item in distributions():
        name = item.metadata["Name"]
        if name:
            found.setdefault(name, item.version)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


@functools.cache
def _owners() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()


def pins(modules: Iterable[str]) -> tuple[str, ...]:
    """Pin the distributions that own some modules.

    Args:
        modules: Module names, such as the ones an estimator's classes live in.

    Returns:
        ``name==version``, sorted. Modules of the standard library and of the notebook own none.
    """
    names = {
        owner
        for module in modules
        if (top := module.partition(".")[0]) not in sys.stdlib_module_names
        for owner in _owners().get(top, ())
    }
    versions = {name.lower(): f"{name}=={version}" for name, version in installed().items()}
    return tuple(sorted(versions[name.lower()] for name in names if name.lower() in versions))


def environment_text() -> str:
    """Write the whole environment as a requirements file."""
    head = f"# Python {platform.python_version()} on {platform.system()} {platform.machine()}\n"
    return head + "".join(f"{name}=={version}\n" for name, version in installed().items())


def user() -> str:
    """Name the user of this process, as the operating system does."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for the uid
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
