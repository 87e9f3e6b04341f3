"""What a user may call a model, an experiment or an endpoint, and how versions are addressed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_magics.foundation.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,98}[A-Za-z0-9_]|[A-Za-z0-9_]")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_RUN = re.compile(r"(?:runs:/)?([0-9a-f]{32})")
_SHOWN = 40  # characters of a refused name that are repeated


def checked_name(name: str, kind: str) -> str:
    """Accept a name that is safe in an address, a file name, a page and a shell.

    Args:
        name: What the user wrote.
        kind: What it names, for the sentence: "model", "experiment", "endpoint".

    Returns:
        The same name.

    Raises:
        UsageError: It holds something else than letters, digits, ``_``, ``-``, ``.`` and inner
            blanks, or more than 100 characters.
    """
    if not _NAME.fullmatch(name):
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
        raise UsageError(
            f"{shown!r} cannot be the name of a {kind}.",
            "Use letters, digits, _, - and . (at most 100, beginning and ending with a letter or digit).",
        )
    return name


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """Where a registered version is: exactly one of version and alias is set, or neither.

    Attributes:
        model: The registered model's name.
        version: A version number such as "3".
        alias: An alias such as "champion".
    """

    model: str
    version: str | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.alias:
            return f"{self.model}@{self.alias}"
        return f"{self.model}/{self.version}" if self.version else self.model

    @classmethod
    def parse(cls, text: str) -> ModelAddress:
        """Read ``flights``, ``flights@champion``, ``flights/3`` or ``models:/`` before any of them.

        Raises:
            UsageError: It is none of these.
        """
        rest = text.removeprefix("models:/")
        model, at, alias = rest.partition("@")
        if at:
            if not _ALIAS.fullmatch(alias):
                raise UsageError(
                    f"'{alias[:_SHOWN]}' cannot be an alias.",
                    "Use small letters, digits, _ and -, such as flights@champion.",
                )
            return cls(checked_name(model, "model"), alias=alias)
        model, slash, version = rest.rpartition("/")
        if slash:
            if not (version.isascii() and version.isdecimal()):
                raise UsageError(
                    f"'{version[:_SHOWN]}' is not a version number.",
                    "Write flights/3 for a version, flights@champion for an alias.",
                )
            return cls(checked_name(model, "model"), version=version)
        return cls(checked_name(rest, "model"))


def near(host: str) -> bool:
    """Tell whether an address is this machine's own, which nobody else can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run_id(text: str) -> str | None:
    """Read an MLflow run id, alone or as ``runs:/<id>``; None where the text is something else."""
    match = _RUN.fullmatch(text.strip())
    return match.group(1) if match else None


@dataclass(frozen=True, slots=True)
class Called:
    """What the user wrote for each thing that a verb takes: a table has no name of its own.

    Attributes:
        texts: Parameter -> text.
    """

    texts: Mapping[str, str]

    def get(self, parameter: str, otherwise: str) -> str:
        """Return what was written for a parameter."""
        return self.texts.get(parameter, otherwise)
