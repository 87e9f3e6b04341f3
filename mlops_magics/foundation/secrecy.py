"""What a name, and the value that stands beside it, say about being a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# What any of the names below contains, in lower case and without what joins its words.
SIGNS: Final = ("pass", "pwd", "secret", "key", "token", "credential")

_STRONG = re.compile(
    r"passw(?:or)?d|passphrase|(?:^|_)pwd|secret|credential"
    r"|(?:api|access|account|auth|encryption|license|master|private|service|signing|subscription)_?key"
    r"|(?:access|api|app|auth|bearer|bot|csrf|hub|id|oauth|private|refresh|security|session)_?token"
)
_TOKEN = re.compile(r"(?:^|_)token(?:_?\d{1,3}|_(?:value|string|str|prod|production|dev|test|staging))?$")
# Words behind the secret one that make it a fact about a secret; words before "token" that make it one of a
# language model or a parser.
_ABOUT = re.compile(
    r"_(?:age|attr|cache|callback|class|cls|col|column|count|dir|endpoint|env|error|expiry|expires|factory|field"
    r"|file|filename|format|func|getter|header|help|hint|index|input|kind|label|len|length|length_min|limit|loader"
    r"|location|manager|message|mode|msg|name|names|param|params|parameter|path|pattern|policy|prefix|prompt|property"
    r"|provider|regex|required|scope|size|style|suffix|template|text|title|ttl|type|types|uri|url|validator"
    r"|var|variable|version|widget)$"
)
_OF_TEXT = re.compile(
    r"(?:^|_)(?:bos|cls|current|cur|end|eos|first|last|mask|max|min|n|next|num|number|of|pad|page|per|prev|sep|special"
    r"|start|stop|total|unk)_tokens?(?:$|_)"
)
_ENDS = re.compile(r"(?:passw(?:or)?d|passphrase|pwd|secret)$")
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w. -]{1,60})+")
_TYPE = re.compile(
    r"(?:typing\.)?(?:str|bytes|int|bool|float|None|Optional|Union|Any|Literal|Callable|Secret|SecretStr|Sequence"
    r"|list|dict|tuple|string|object)\b[\w\s|\[\],.]*"
)
_HOLE = re.compile(
    r"\{[^{}]*\}|%\(\w+\)[a-z]|%[a-z]|\$\{?\w+\}?|<[\w .-]*>|^(?:null|true|false|string|redacted|xxxx+)$",
    re.IGNORECASE,
)
_SHORT = 4
_TOKEN_CHARACTERS = 8
_BARE_TOKEN_CHARACTERS = 16
_AWS_CHARACTERS = 40  # of a secret access key, which may hold slashes
_PROSE_BLANKS = 8
_PRINTED_CHARACTERS = 6  # of a secret that is looked for wherever it stands: a shorter one is in many words


def secret_name(name: str) -> bool:
    """Tell whether a name says that its value is a secret: ``db_password``, ``X-Api-Key``."""
    flat = _flat(name)
    return not _ABOUT.search(flat) and bool(_STRONG.search(flat) or _named_token(flat))


def secret_pair(name: str, value: str, *, bare: bool = False) -> bool:
    """Tell whether a value is the secret that its name says it is.

    Args:
        name: The name beside it.
        value: What is written, without its quotes.
        bare: Whether it stands without quotes, where in code it would be a name or a number.
    """
    flat = _flat(name)
    if _ABOUT.search(flat) or len(value) < _SHORT or _says_nothing(flat, value):
        return False
    if _STRONG.search(flat):
        return not bare or _opaque(value)
    if not _named_token(flat) or any(sign in value for sign in " \t\n()[]{}\\"):
        return False
    least = _BARE_TOKEN_CHARACTERS if bare else _TOKEN_CHARACTERS
    return len(value) >= least and not value.isdigit() and (not bare or _opaque(value))


def secrets_held(names: Mapping[str, object]) -> tuple[str, ...]:
    """List the secrets that names hold, the longest first: printed alone, nothing beside them says so."""
    found = {
        value
        for name, value in names.items()
        if isinstance(value, str) and len(value) >= _PRINTED_CHARACTERS
        if any(sign in name.lower() for sign in SIGNS) and secret_pair(name, value)
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def _says_nothing(flat: str, value: str) -> bool:
    """Tell whether a value is none in spite of its name: a hole, a type, its own name, a path, prose."""
    if _a_hole(value) or _TYPE.fullmatch(value) or _flat(value) in flat:
        return True
    if value.count(" ") > _PROSE_BLANKS and "\n" in value:
        return True
    # pwd is also what a shell calls its folder
    return (_a_place(value) and (flat.endswith("pwd") or not _ENDS.search(flat))) or (
        value.isdigit() and not _ENDS.search(flat)
    )


def _flat(name: str) -> str:
    """Write a name in lower case with one underscore between its words."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", parted).strip("_").lower()


def _named_token(flat: str) -> bool:
    return bool(_TOKEN.search(flat)) and not _OF_TEXT.search(flat)


def _a_hole(value: str) -> bool:
    """Tell whether a value only says where one is put in: ``{token}``, ``%s``, ``$TOKEN``, ``<token>``."""
    rest = _HOLE.sub("", value)
    return sum(letter.isalnum() for letter in rest) < _SHORT - 1


def _a_place(value: str) -> bool:
    """Tell whether a value is the path of a file that holds the secret."""
    return len(value) != _AWS_CHARACTERS and bool(_PATH.fullmatch(value))


def _opaque(value: str) -> bool:
    """Tell whether a value without quotes is no name of a program: a digit or a sign is in it."""
    if re.fullmatch(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+", value):  # args.password
        return False
    return any(letter.isdigit() or letter in "!@#$%^&*+/=~-" for letter in value)
