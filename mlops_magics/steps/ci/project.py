"""What a workflow has to know of the project that it is written for."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.names import checked_name
from mlops_magics.steps.ci.repository import git

Json = Mapping[str, Any]

# Neither "$" nor a brace nor a quote: both systems expand expressions in values, too.
_GLOB: Final = re.compile(r"(?![-/~])[\w ./*?!\[\]-]+")
_FOLDER: Final = re.compile(r"(?!-)[\w ./-]+")
_SECRET: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
EXTRA: Final = 'python -m pip install "mlops-magics[ci]"'


@dataclass(frozen=True, slots=True)
class Project:
    """A project and what its workflow shall do.

    Attributes:
        folder: Where it lies in its repository, "" at the top.
        notebooks: Which notebooks are validated, a glob from the project's root.
        model: The registered model whose new versions may be promoted; None for none.
        secrets: Names of secrets that the notebooks need beside those of the store.
        python: The version of Python.
        installs: The commands that install what the notebooks need.
        pinned: Whether files of the project say which versions that is.
        timeout: How long a notebook may take.
    """

    folder: str
    notebooks: str
    model: str | None
    secrets: tuple[str, ...]
    python: str
    installs: tuple[str, ...]
    pinned: bool
    timeout: str


def project(
    root: Path, notebooks: str, model: str | None, secrets: tuple[str, ...], timeout: str
) -> tuple[Project, Path]:
    """Look at a project; return it and the top of its repository.

    Args:
        root: The project's root.
        notebooks: A glob from there.
        model: The model that may be promoted.
        secrets: Names of secrets.
        timeout: How long a notebook may take.

    Raises:
        UsageError: One of these holds what a workflow would read something into.
    """
    top = Path((git(root, "rev-parse", "--show-toplevel") or b"").decode().removesuffix("\n") or root)
    folder = root.resolve().relative_to(top.resolve()).as_posix().removeprefix(".")
    if folder and not _FOLDER.fullmatch(folder):
        raise UsageError(
            f"The project lies in {folder[:80]!r}, which no workflow can name safely.",
            "Use letters, digits, blanks, _, -, . and / in names of folders.",
        )
    installs, pinned = _installs(root)
    version = ".".join(map(str, sys.version_info[:2]))
    named = None if model is None else checked_name(model, "model")
    about = Project(
        folder, checked_glob(notebooks), named, _secrets(secrets), version, installs, pinned, timeout
    )
    return about, top


def checked_glob(text: str) -> str:
    """Accept a glob that leads nowhere else and means nothing to a shell or a workflow.

    Raises:
        UsageError: It may.
    """
    if not _GLOB.fullmatch(text) or ".." in text.split("/"):
        raise UsageError(
            f"--notebooks cannot be {text[:80]!r}.",
            "Write a glob from the project's root, such as 'notebooks/*.ipynb' or '**/*.ipynb'.",
        )
    return text


def _secrets(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _SECRET.fullmatch(name):
            raise UsageError(
                f"{name[:40]!r} cannot be the name of a secret.",
                "Name them in capitals, as in --secrets AWS_ACCESS_KEY_ID; never write a value.",
            )
    return names


def _installs(root: Path) -> tuple[tuple[str, ...], bool]:
    """Say how the project's own packages are installed, from the files that are there."""
    bound = " -c constraints.txt" if (root / "constraints.txt").is_file() else ""
    found = []
    if (root / "requirements.txt").is_file():
        found.append(f"python -m pip install -r requirements.txt{bound}")
    if "[build-system]" in _text(root / "pyproject.toml") or (root / "setup.py").is_file():
        found.append(f"python -m pip install -e .{bound}")
    return (*found, f"{EXTRA}{bound}"), bool(found)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
