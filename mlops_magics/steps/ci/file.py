"""The workflow's file: a mapping as YAML in which each text stays a text, and the mark that it is ours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UnavailableError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.targets.base import Difference
from mlops_magics.targets.fields import differing

_HEAD: Final = "# Written by mlops ci, which writes it anew as long as nobody changes it. sha256: "
_BARE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./()-]+)*")
# Words that some reader of YAML takes for something else than a text.
_WORDS: Final = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def text_of(content: Mapping[str, Any]) -> str:
    """Write a mapping as YAML, below a line that holds its digest.

    Args:
        content: The mapping: texts, numbers, truths, lists and mappings.
    """
    import yaml

    class Plain(yaml.SafeDumper):  # type: ignore[misc]
        """Quotes each text that could be read as anything else, and repeats what stands twice."""

        def ignore_aliases(self, data: object) -> bool:
            """Write no references: GitHub reads none."""
            del data
            return True

    Plain.add_representer(str, _text)
    body = yaml.dump(dict(content), Dumper=Plain, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"{_HEAD}{_digest(body)}\n{body}"


def differences(path: Path, name: str, content: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Compare a file with what it shall hold, field by field.

    Args:
        path: The file.
        name: How it is called.
        content: What it shall hold.
    """
    there = _read(path)
    if there is None:
        return (Difference("added", name),)
    if there == text_of(content):
        return ()
    import yaml

    try:
        held = orjson.dumps(yaml.load(there, Loader=yaml.BaseLoader))  # noqa: S506 - it makes texts only
    except (yaml.YAMLError, TypeError, ValueError):
        return (Difference("changed", name),)
    wanted = orjson.dumps(yaml.load(text_of(content), Loader=yaml.BaseLoader))  # noqa: S506 - likewise
    return tuple(differing(name, held, wanted))


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the file, whole or not at all.

    Args:
        path: The file.
        content: What it shall hold.

    Raises:
        RefusedError: It is another's, or was changed by hand.
        UnavailableError: It cannot be written.
    """
    there = _read(path)
    if there is not None and there != text_of(content):
        _check_ours(path, there)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"{path.parent} cannot be made: {error.strerror}.", "Make its folder writable."
        ) from error
    write_atomic(path, text_of(content))


def remove(path: Path) -> None:
    """Delete the file, and the folders that held nothing else.

    Raises:
        NotFoundError: There is none.
        RefusedError: It is another's, or was changed by hand.
    """
    there = _read(path)
    if there is None:
        raise NotFoundError(f"There is no {path.name} here.", "%mlops_ci writes one.")
    _check_ours(path, there)
    path.unlink()
    for folder in (path.parent, path.parent.parent):
        if folder.name in {"workflows", ".github", ".gitlab"} and not any(folder.iterdir()):
            folder.rmdir()


def _text(dumper: Any, value: str) -> Any:  # noqa: ANN401 - PyYAML ships no types
    bare = _BARE.fullmatch(value) and value.lower() not in _WORDS
    style = None if bare else "|" if "\n" in value else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _check_ours(path: Path, there: str) -> None:
    first, _, body = there.partition("\n")
    if not first.startswith(_HEAD):
        raise RefusedError(f"{path} was not written by mlops ci.", "Move it away, or choose --into FOLDER.")
    if first.removeprefix(_HEAD).strip() != _digest(body):
        raise RefusedError(
            f"{path} was changed by hand since it was written.",
            "Keep your change in a workflow of your own and delete this file; then write it again.",
        )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path} cannot be read ({type(error).__name__}).", "Move it away.") from error


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
