"""One verb, three doors: the line of a magic and the arguments of a command, read by a function's signature.

Positional parameters are things, keyword-only ones are options. What a parameter is annotated with says
how its text is read:

    object                 a THING: a name of the notebook where there is one, else the text itself;
                           of an option too (``--against other``)
    str | Deployment       a THING too, but only a Deployment is taken from the notebook: an endpoint may be
                           called as a table is
    str, int, float, Path  one value
    bool                   a flag; ``--no-x`` where the default is yes
    tuple[str, ...]        values with commas between them
    Literal["a", "b"]      one of these
    any other class        given by the front end (the settings, the cell, what was written for each
                           THING: Called); never written by the user
"""

from __future__ import annotations

import argparse
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from mlops_magics.foundation.blocks import Block, Code
from mlops_magics.foundation.errors import UsageError, nearest
from mlops_magics.foundation.names import Called
from mlops_magics.foundation.result import Result

Reader = Callable[[str], object]
_SCALARS: Mapping[Any, Reader] = {str: str, int: int, float: float, Path: Path}
_HELP = frozenset({"-h", "--help"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a verb, as its text is read.

    Attributes:
        name: Its name in Python.
        kind: "thing" (positional, looked up), "text" (positional), "value", "flag", "list" or "given".
        default: Its default; ``inspect.Parameter.empty`` where it is required.
        read: Turns a text into the value.
        choices: The only values, where there are few.
        accepts: For kind "thing": what a name of the notebook must hold to be taken; empty for anything.
        looked_up: Whether its text may be a name of the notebook.
        given: The name of the class that the front end hands over, for kind "given".
        about: What the docstring says about it.
    """

    name: str
    kind: Literal["thing", "text", "value", "flag", "list", "given"]
    default: Any
    read: Reader = str
    choices: tuple[str, ...] = ()
    accepts: tuple[type, ...] = ()
    looked_up: bool = False
    given: str = ""
    about: str = ""

    @property
    def flag(self) -> str:
        """How the option is written."""
        stem = self.name.replace("_", "-")
        return f"--no-{stem}" if self.kind == "flag" and self.default is True else f"--{stem}"

    @property
    def required(self) -> bool:
        """Whether it must be written."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Help(Result):
    """How a verb is called and what it does: what ``--help`` returns in a notebook.

    Attributes:
        text: The usage, then the docstring.
    """

    text: str

    def blocks(self) -> Iterable[Block]:
        """Show the text as it is."""
        yield Code(self.text)


@dataclass(frozen=True, slots=True)
class Signature:
    """A verb's parameters and words.

    Attributes:
        name: How the verb is called at this door, with its prefix: ``%mlops_deploy``, ``mlops deploy``.
        function: The function behind it.
        parameters: All its parameters.
        document: Its docstring.
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    document: str

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> Signature:
        """Read a function's signature and docstring."""
        document = inspect.getdoc(function) or ""
        abouts = _described(document)
        hints = typing.get_type_hints(function)
        parameters = tuple(
            _parameter(item, hints[item.name], abouts.get(item.name, ""))
            for item in inspect.signature(function).parameters.values()
        )
        return cls(name, function, parameters, document)

    @property
    def things(self) -> tuple[Parameter, ...]:
        """What is written without a flag."""
        return tuple(item for item in self.parameters if item.kind in {"thing", "text"})

    @property
    def options(self) -> tuple[Parameter, ...]:
        """What is written with a flag."""
        return tuple(item for item in self.parameters if item.kind in {"value", "flag", "list"})

    @property
    def usage(self) -> str:
        """One line that shows all that may be written."""
        parts = [self.name]
        parts += [item.name.upper() if item.required else f"[{item.name.upper()}]" for item in self.things]
        for item in self.options:
            value = "" if item.kind == "flag" else f" {_placeholder(item)}"
            parts.append(f"{item.flag}{value}" if item.required else f"[{item.flag}{value}]")
        return " ".join(parts)

    def help(self) -> str:
        """Return what ``?`` and ``--help`` show: the usage, then the docstring."""
        return f"{self.usage}\n\n{self.document}\n"

    def asks_help(self, tokens: Iterable[str]) -> bool:
        """Tell whether the words after the verb ask for its help, whatever else they say."""
        return not _HELP.isdisjoint(tokens)

    def parse(
        self,
        tokens: Sequence[str],
        *,
        look_up: Callable[[str], object],
        given: Mapping[str, Callable[[], object]],
    ) -> dict[str, Any]:
        """Read the words after the verb.

        Args:
            tokens: The words, quotes already taken away.
            look_up: Finds the object that a THING's text means.
            given: Makes what the front end hands over, by the name of its class; a parameter whose class
                is not there keeps its default.

        Returns:
            Arguments by parameter.

        Raises:
            UsageError: A word is not understood, or one is missing.
        """
        found = vars(self._parser().parse_args(list(tokens)))
        written = {name: text for name, text in found.items() if isinstance(text, str)}
        for item in self.parameters:
            if item.kind == "given":
                if item.given == Called.__name__:
                    found[item.name] = Called(written)
                elif item.given in given:
                    found[item.name] = given[item.given]()
            elif item.looked_up and isinstance(found[item.name], str):
                held = look_up(found[item.name])
                if not item.accepts or isinstance(held, item.accepts):
                    found[item.name] = held
        return found

    def call(self, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the verb
        """Call the function with the arguments that ``parse`` returned."""
        things = [item.name for item in self.things]
        positional = [arguments[name] for name in things]
        named = {key: value for key, value in arguments.items() if key not in things}
        return self.function(*positional, **named)

    def _parser(self) -> argparse.ArgumentParser:
        parser = _Parser(self)
        for item in self.parameters:
            if item.kind in {"thing", "text"}:
                count: dict[str, Any] = {} if item.required else {"nargs": "?", "default": item.default}
                parser.add_argument(
                    item.name,
                    metavar=item.name.upper(),
                    type=item.read,
                    choices=item.choices or None,
                    **count,
                )
            elif item.kind == "flag":
                action = "store_false" if item.default is True else "store_true"
                default = False if item.required else item.default
                parser.add_argument(item.flag, dest=item.name, action=action, default=default)
            elif item.kind != "given":
                parser.add_argument(
                    item.flag,
                    dest=item.name,
                    type=item.read,
                    default=None if item.required else item.default,
                    required=item.required,
                    choices=item.choices or None,
                )
        return parser


class _Parser(argparse.ArgumentParser):
    """argparse that raises our error instead of ending the process."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(prog=signature.name, add_help=False, allow_abbrev=False)
        self._signature = signature

    def error(self, message: str) -> NoReturn:
        signature = self._signature
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown:
            word = unknown[1].partition("=")[0] if unknown[1].startswith("-") else unknown[1]
            if word.startswith("-"):
                hint = nearest(word, [item.flag for item in signature.options])
                raise UsageError(
                    f"{signature.name} has no option {word}.", f"{hint} Usage: {signature.usage}".strip()
                )
            message = f"there is one word too many: {word}"
        message = re.sub(r"^argument (\S+):", r"\1:", message)
        choice = re.search(r"^(\S+): invalid choice: '(.*)' \(choose from ", message, re.DOTALL)
        if choice:
            choices = next(
                item.choices for item in signature.parameters if choice[1] in {item.flag, item.name.upper()}
            )
            raise UsageError(
                f"{signature.name}: {choice[1]} cannot be '{choice[2]}'.",
                f"{nearest(choice[2], choices)} Usage: {signature.usage}",
            )
        raise UsageError(f"{signature.name}: {message}.", f"Usage: {signature.usage}")


def _parameter(item: inspect.Parameter, hint: Any, about: str) -> Parameter:  # noqa: ANN401 - any annotation
    reading = _reading(hint, positional=item.kind is not item.KEYWORD_ONLY)
    return Parameter(name=item.name, default=item.default, about=about, **reading)


def _reading(hint: Any, *, positional: bool) -> dict[str, Any]:  # noqa: ANN401 - same
    """Decide how a parameter's text is read, by its annotation alone."""
    members = _members(hint)
    bare = members[0] if len(members) == 1 else hint
    written = "text" if positional else "value"
    if bare in {object, Any}:
        found: dict[str, Any] = {"kind": "thing" if positional else "value", "looked_up": True}
    elif len(members) > 1 and str in members:
        accepts = tuple(each for each in members if each is not str)
        found = {"kind": "thing" if positional else "value", "accepts": accepts, "looked_up": True}
    elif bare is bool:
        found = {"kind": "flag"}
    elif typing.get_origin(bare) is Literal:
        found = {"kind": written, "choices": typing.get_args(bare)}
    elif typing.get_origin(bare) is tuple:
        found = {"kind": "list", "read": _listed}
    elif bare in _SCALARS:
        found = {"kind": written, "read": _SCALARS[bare]}
    else:
        found = {"kind": "given", "given": bare.__name__}
    return found


def _members(hint: Any) -> list[Any]:  # noqa: ANN401 - same
    """List what a union is of, None left out; anything else is alone."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return [item for item in typing.get_args(hint) if item is not type(None)]
    return [hint]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _placeholder(item: Parameter) -> str:
    if item.choices:
        return "|".join(item.choices)
    return "A,B" if item.kind == "list" else item.name.upper()


def _described(document: str) -> dict[str, str]:
    """Read the Args section of a docstring: parameter -> its first sentence or so, on one line."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", document, re.MULTILINE)
    if section is None:
        return {}
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}\S.*)*)", section[1], re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in entries}
