"""What git says: which files differ from a commit, and how a file was then."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Repository:
    """A working copy, compared with a commit.

    Attributes:
        top: Its top folder.
        base: The commit that it is compared with; "" where there is none.
        why: Why there is none.
        changed: The files that differ from it, from the top: changed, new, and gone.
        tracked: The files that git knows.
    """

    top: Path
    base: str
    why: str
    changed: frozenset[str]
    tracked: frozenset[str]

    def before(self, path: str) -> bytes | None:
        """Return how a file was in the commit; None where it was not there.

        Args:
            path: The file, from the top.
        """
        return git(self.top, "cat-file", "blob", f"{self.base}:{path}") if self.base else None


def compared(folder: Path, since: str | None) -> Repository:
    """Compare a working copy with the commit at which it parted from another.

    Args:
        folder: A folder inside it.
        since: A commit, a branch or a tag; None or "" compares with nothing.
    """
    found = git(folder, "rev-parse", "--show-toplevel")
    if found is None:
        return Repository(folder, "", "git does not know this folder", frozenset(), frozenset())
    top = Path(os.fsdecode(found.removesuffix(b"\n")))
    base, why = _base(top, since)
    if not base:
        return Repository(top, "", why, frozenset(), frozenset())
    differing = git(top, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", base, "--")
    unknown = git(top, "ls-files", "--others", "--exclude-standard", "-z")
    known = git(top, "ls-files", "-z")
    if differing is None or unknown is None or known is None:
        return Repository(top, "", "git does not say what has changed", frozenset(), frozenset())
    return Repository(top, base, "", _names(differing) | _names(unknown), _names(known))


def head(folder: Path) -> str:
    """Name the commit that is checked out; "" where there is none."""
    return (git(folder, "rev-parse", "HEAD") or b"").decode().strip()


def first_commit(folder: Path) -> str:
    """Name the commit that a repository began with: the same in every clone. "" where none is known."""
    found = (git(folder, "rev-list", "--max-parents=0", "HEAD") or b"").decode().split()
    return min(found, default="")


def git(folder: Path, *arguments: str) -> bytes | None:
    """Ask git; None where it fails.

    Args:
        folder: Where.
        *arguments: What.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ("git", "-C", str(folder), *arguments),  # noqa: S607 - the user's own git is the right one
            capture_output=True,
            check=True,
            timeout=_SECONDS,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _base(top: Path, since: str | None) -> tuple[str, str]:
    if not since:
        return "", "no commit was named to compare with"
    found = git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}")
    if found is None:
        return "", f"there is no commit {since[:40]} here"
    base = git(top, "merge-base", found.decode().strip(), "HEAD")
    return (
        (base.decode().strip(), "") if base else ("", f"{since[:40]} has no commit in common with this one")
    )


def _names(listed: bytes) -> frozenset[str]:
    return frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)
