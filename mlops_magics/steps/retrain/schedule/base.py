"""What is scheduled, and what all the texts share: quoting, names, what is refused."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias

from mlops_magics.foundation.errors import UsageError
from mlops_magics.steps.retrain.schedule.cadence import Cadence

Json: TypeAlias = dict[str, Any]
Texts: TypeAlias = Mapping[str, bytes]
"""Path in the folder -> content."""

MOST_NAME: Final = 52  # a CronJob's: Kubernetes adds eleven characters to it
_LABEL: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE: Final = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}")
_BREAKS: Final = frozenset(
    {"Cc", "Cn", "Cs", "Zl", "Zp"}
)  # YAML takes some for a line break, and forbids others
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What runs, when and where; all of it judged.

    Attributes:
        name: What it is called: a DNS label.
        command: The words of the command, ``mlops`` among them.
        cadence: When.
        folder: The folder that it runs in, on the machine or in the image.
        place: The folder that its files are written to.
        timeout: The most seconds that it may take.
        variables: Variables to set; none of them a secret.
        secrets: Names of variables whose values the scheduler knows.
        image: The container image, for a scheduler that runs one.
    """

    name: str
    command: tuple[str, ...]
    cadence: Cadence
    folder: PurePosixPath
    place: PurePosixPath
    timeout: int
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    image: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A scheduler.

    Attributes:
        files: Makes its files: the same bytes for the same plan.
        then: Says which commands bring them to life, given the folder as a command names it.
    """

    files: Callable[[Plan], Texts]
    then: Callable[[Plan, str], tuple[str, ...]]


def checked(plan: Plan) -> Plan:
    """Hand out a plan that each scheduler can write.

    Raises:
        UsageError: Something in it cannot be.
    """
    if len(plan.name) > MOST_NAME or not _LABEL.fullmatch(plan.name):
        raise UsageError(
            f"{plan.name[:_SHOWN]!r} cannot be the name of a schedule.",
            f"Use small letters, digits and -, beginning with a letter (at most {MOST_NAME}).",
        )
    if not plan.command or not plan.command[0]:
        raise UsageError("There is no command to schedule.", "Give its words, such as mlops retrain flights.")
    for text in (*plan.command, str(plan.folder), str(plan.place), *plan.variables.values()):
        if any(unicodedata.category(character) in _BREAKS for character in text):
            raise UsageError(
                f"{text[:_SHOWN]!r} holds a line break or another control character.",
                "No scheduler takes one: put it into a file or the notebook.",
            )
    for name in (*plan.variables, *plan.secrets):
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"{name[:_SHOWN]!r} cannot be a variable.", "Use letters, digits and _.")
    if not plan.folder.is_absolute():
        raise UsageError(f"The folder {plan.folder} is not absolute.", "A scheduler starts elsewhere.")
    if plan.timeout < 1:
        raise UsageError("The time-out is not above zero.", "Say how many seconds it may take.")
    return plan


def slug(text: str) -> str:
    """Make a name of any text: small letters, digits and -."""
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"
    return f"retrain-{made}"[:MOST_NAME].rstrip("-")


def shell(command: Sequence[str]) -> str:
    """Write a command so that a POSIX shell takes it apart into the same words."""
    return shlex.join(command)


def needed_image(plan: Plan, kind: str) -> str:
    """Hand out the image.

    Raises:
        UsageError: None is named, or it is none.
    """
    if plan.image is None:
        raise UsageError(f"Which image shall {kind} run?", "Name it: --image registry.example.com/flights:3.")
    if not _IMAGE.fullmatch(plan.image):
        raise UsageError(f"{plan.image[:_SHOWN]!r} cannot be a container image.", "Write registry/name:tag.")
    return plan.image


def forbidden(plan: Plan, sign: str, kind: str) -> None:
    """Refuse what a scheduler would take for an expression of its own.

    Raises:
        UsageError: It stands in the command or a variable.
    """
    for text in (*plan.command, str(plan.folder), *plan.variables.values()):
        if sign in text:
            raise UsageError(
                f"{kind} would evaluate '{sign}' in {text[:_SHOWN]!r}.", "Put it into a file or the notebook."
            )
