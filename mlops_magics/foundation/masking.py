"""Secrets are masked before anything leaves the kernel.

The rules know the shapes that secrets have in code, printed output and addresses, and the names that
stand beside them. They are strict: a rule that fires on ordinary text would teach people to turn masking
off. A long random word is a secret only beside such a name. Each rule reads a text once, whatever it is:
where it repeats something it gives nothing back, or what it repeats is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mlops_magics.foundation.secrecy import SIGNS, secret_name, secret_pair

MASK: Final = "****"
_LOOKED_BACK = 2_000  # characters of a line
_NOTHING = {"", "None", "True", "False"}


@dataclass(frozen=True)
class _Rule:
    """A pattern, and what it writes instead; it is not tried where none of its signs is in the text."""

    signs: tuple[str, ...]
    written: str
    told: Callable[[re.Match[str]], str]
    flags: int = 0

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern, made when a text first shows a sign of it: all are half of our loading time."""
        return re.compile(self.written, self.flags)


def masked(text: str) -> str:
    """Replace each secret in a text.

    Args:
        text: Code, output, a parameter, a diff, a traceback or an address.

    Returns:
        The text with ``****`` in the place of each secret; everything else is untouched. Code that was
        Python is Python still. Masking it again changes nothing.
    """
    lowered = text.lower()
    for rule in _RULES:
        if any(sign in lowered for sign in rule.signs):
            text = rule.pattern.sub(rule.told, text)
    return text


def masked_value(name: str, value: str) -> str:
    """Replace a named value where its name says that it is a secret, and each secret in it otherwise.

    Args:
        name: The name of a parameter or a tag, such as ``api_key``.
        value: Its value as text.
    """
    return MASK if secret_name(name) and value not in _NOTHING else masked(value)


def masked_values(values: Mapping[str, str]) -> dict[str, str]:
    """Replace the secrets in named values, such as a run's tags."""
    return {name: masked_value(name, value) for name, value in values.items()}


def _kept(match: re.Match[str]) -> str:
    """Keep the group "keep", where there is one, and mask the rest."""
    return f"{match.groupdict().get('keep') or ''}{MASK}"


def _userinfo(match: re.Match[str]) -> str:
    return match[0] if re.fullmatch(r"\{[^{}]*\}|%s|\$\{?\w+\}?|<\w+>", match["value"]) else _kept(match)


_LITERAL = (
    r"(?:[rbuf]{0,2}(?:"
    r"\"\"\"(?:[^\"\\]|\\[\s\S]|\"(?!\"\"))*+\"\"\""
    r"|'''(?:[^'\\]|\\[\s\S]|'(?!''))*+'''"
    r"|\"(?!\"\")(?:[^\"\\\n]|\\[\s\S])*+\""
    r"|'(?!'')(?:[^'\\\n]|\\[\s\S])*+'))"
)
_PARTS = re.compile(
    r"(?P<prefix>[rbuf]{0,2})(?P<quote>\"\"\"|'''|[\"'])(?P<value>[\s\S]*)(?P=quote)", re.IGNORECASE
)
_DIGIT, _CONSTANT = re.compile(r"\d"), re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_LITERALS = re.compile(_LITERAL, re.IGNORECASE)


def _literal(match: re.Match[str]) -> str:
    """Mask what is written inside the quotes, whatever they are."""
    parts = _PARTS.fullmatch(match[0])
    if parts is None or len(parts["value"]) == 0:
        return match[0]
    # a text of several lines keeps their number: tracebacks and diffs count them
    breaks = "\n" * parts["value"].count("\n") if len(parts["quote"]) == len("'''") else ""
    return f"{parts['prefix']}{parts['quote']}{MASK}{breaks}{parts['quote']}"


def _assigned(match: re.Match[str]) -> str:
    """Mask ``name = "..."`` by what the name says; several literals in a row are one value."""
    name = match["name"]
    if match["noted"] and not secret_name(name):  # ValueError: token="..."
        name = re.findall(r"\w+", match["noted"])[-1]
    literals = match["literals"]
    if _assigns(match, name):
        return match["keep"] + _LITERALS.sub(_literal, literals)
    return match["keep"] + _ASSIGNMENT.pattern.sub(_assigned, literals)  # line = "token='...'"


_ASSIGNMENT: Final = _Rule(
    tuple(SIGNS),
    (
        rf"(?P<keep>(?<![\w-])(?P<name>[\w-]++)(?P<quoted>[\"'])?\]?"
        r"(?:[ ]{0,9}:[ ]{0,9}(?P<noted>\w[\w.|\[\] ]{0,40}))?"
        r"[ \t]{0,9}(?P<operator>==|!=|:=|[:=]|,(?!\s{0,9}(?:\"[^\"\n]{0,99}\"|'[^'\n]{0,99}')\s{0,9}[:=]))"
        r"(?:(?<==)[ \t]{0,9}(?:\\?\n)?\s{0,80}|[ \t]{0,9})(?:(?P<open>[(\[])\s{0,40})?)"
        rf"(?P<literals>{_LITERAL}(?:\s{{0,80}}\+?\s{{0,80}}{_LITERAL})*+"
        rf"(?(open)(?P<several>(?:\s{{0,80}},\s{{0,80}}{_LITERAL})*+)))"
    ),
    _assigned,
    re.IGNORECASE,
)


def _assigns(match: re.Match[str], name: str) -> bool:
    """Tell whether what a name is given is a secret."""
    operator = match["operator"]
    if not secret_name(name) or (operator == "," and not match["quoted"]):
        return False
    parts = [part for found in _LITERALS.finditer(match["literals"]) if (part := _PARTS.fullmatch(found[0]))]
    values = [part["value"] for part in parts]
    if any("f" in part["prefix"].lower() and _torn(part["value"]) for part in parts):
        return False
    if match["several"]:  # ["a", "b"] may be names of fields as well
        return any(secret_pair(name, value, bare=True) and _DIGIT.search(value) for value in values)
    if operator == ",":  # and so may be what follows a comma
        value = values[0]
        known = (name.isupper() and not _CONSTANT.fullmatch(value)) or bool(_DIGIT.search(value))
        return known and secret_pair(name, value, bare=not name.isupper())
    return secret_pair(name, "".join(values), bare=operator in {"==", "!="})


def _torn(value: str) -> bool:
    """Tell whether a formatted string ended at a quote inside its braces: its real end is not known."""
    return value.count("{") != value.count("}")


def _unpacked(match: re.Match[str]) -> str:
    """Mask ``user, password = "...", "..."`` by the place of the name."""
    names = re.findall(r"\w+", match["names"])
    places = iter(names)

    def told(found: re.Match[str]) -> str:
        name, parts = next(places, ""), _PARTS.fullmatch(found[0])
        secret = parts is not None and secret_pair(name, parts["value"])
        return _literal(found) if secret else found[0]

    return match["keep"] + _LITERALS.sub(told, match["literals"])


def _paired(match: re.Match[str]) -> str:
    """Mask a value without quotes of its own where its name says so; the mask brings the quotes back."""
    return f"{match['keep']}{MASK}" if secret_pair(match["name"], match["value"]) else match[0]


def _told(match: re.Match[str]) -> str:
    """Mask ``password: value`` inside a line, in quotes where it may be code and none are open."""
    if not secret_pair(match["name"], match["value"], bare=True):
        return match[0]
    begun = match.string.rfind("\n", 0, match.start()) + 1
    before = match.string[max(begun, match.start() - _LOOKED_BACK) : match.start()]
    inside = (
        (before.count('"') + before.count("'")) % 2 or match["keep"][-1] == " " or before[-1:] in {"?", "&"}
    )
    return f"{match['keep']}{MASK}" if inside else f'{match["keep"]}"{MASK}"'


def _fallback(match: re.Match[str]) -> str:
    """Mask the literal that a name is given where there is nothing else: ``getenv("A") or "..."``."""
    part = _PARTS.fullmatch(match["literal"])
    secret = part is not None and secret_pair(match["name"], part["value"])
    return match["keep"] + _LITERALS.sub(_literal, match["literal"]) if secret else match[0]


def _lined(match: re.Match[str]) -> str:
    """Mask ``NAME=value`` on a line of its own, in quotes: that line may be code."""
    name, value = match["name"], match["value"]
    exported = match["verb"] or (name.isupper() and match["keep"].endswith("="))
    if not secret_pair(name, value, bare=not exported):
        return match[0]
    return f"{match['keep']}{MASK}" if match["verb"] else f'{match["keep"]}"{MASK}"'


def _rule(signs: str, pattern: str, told: Callable[[re.Match[str]], str] = _kept, flags: int = 0) -> _Rule:
    return _Rule(tuple(signs.split()), pattern, told, flags)


_I, _M = re.IGNORECASE, re.MULTILINE
_NAMED = " ".join(SIGNS)
_START = r"(?<![\w-])"
_WORD = r"[^\s\"'`\\;&,(){}\[\]<>=]"  # between two equality signs
_VALUE = r"[^\s\"'`\\;&,(){}\[\]<>]"

_RULES: Final = (
    # a private key, whole: also in literals a line each, in JSON, in a diff
    _rule(
        "private",
        (
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?:(?!-----)[A-Za-z0-9+/=\s\\:,\"'().|>-])*+-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"|[A-Za-z0-9+/=\s]{16,}+)"
        ),
    ),
    # the password in an address; the port and the path of host:80/flights@champion are none
    _rule(
        "://",
        (
            r"(?P<keep>(?<=[A-Za-z0-9])://[^\s:/@'\"]{0,100}:)"
            r"(?!\d{1,5}/)(?P<value>[^\s@'\"]{1,200}+(?:@[^\s@/'\"]{1,200}){0,4})(?=@)"
        ),
        _userinfo,
    ),
    # a token in the place of the user
    _rule(
        "://",
        r"(?P<keep>(?<=[A-Za-z0-9])://)(?=[^\s:/@'\"]{0,100}\d)(?P<value>[^\s:/@'\"{}]{20,255})(?=@)",
        _userinfo,
    ),
    # several names at once, and their literals
    _rule(
        _NAMED,
        (
            rf"(?P<keep>(?<![\w.,])(?P<names>\w++(?:[ ]?,[ ]?\w++)++)[ ]?=[ ]?\(?)"
            rf"(?P<literals>{_LITERAL}(?:[ ]?,[ ]?{_LITERAL})++)"
        ),
        _unpacked,
        _I,
    ),
    # password = "...", api_key: '...', x["token"] = "...", token: str = "...", ("SECRET", "...")
    _ASSIGNMENT,
    _rule(
        _NAMED,
        (
            rf"(?P<keep>{_START}(?P<name>[\w-]++)[ ]?=[ ]?[^\n=]{{1,160}}?[ ](?:or|else)[ ])"
            rf"(?P<literal>{_LITERAL})"
        ),
        _fallback,
    ),
    # the same in the JSON of a notebook, where the quotes stand behind backslashes
    _rule(
        "\\",
        (
            rf"(?P<keep>{_START}(?P<name>[\w-]++)(?:\\+[\"'])?\]?[ ]{{0,9}}[:=,][ ]{{0,9}}"
            r"(?P<quote>\\++[\"']))"
            r"(?P<value>[^\"'\n\\]++)(?=(?P=quote))"
        ),
        _paired,
    ),
    # API_TOKEN=... on a line of its own: what env prints, what %env and export set; password: ... in YAML
    _rule(
        _NAMED,
        (
            r"(?P<keep>^[^\w\n]{0,12}+(?P<verb>(?:export|declare -x|env|set_env|set|setx|ENV|ARG)[ \t]+)?"
            r"(?P<name>[\w-]++)"
            r"[ \t]{0,9}(?P<operator>[:=])[ \t]{0,9})"
            r"(?P<value>[^\s\"'`\\,(){}\[\]<>]++)(?=[ \t\r]{0,9}$)"
        ),
        _lined,
        _M,
    ),
    # ?token=... in an address, ;Password=... in a connection string, 'API_TOKEN=...' in a command
    _rule(
        _NAMED,
        (
            rf"(?P<keep>{_START}(?P<name>[\w-]++)=)(?P<value>{_WORD}++(?:={_WORD}{{0,60}}+){{0,3}}+)"
            r"(?=[;&\"'\\`]|[ ]\w{1,40}=)"
        ),
        _paired,
    ),
    # API key: ... and password=... in a sentence
    _rule(
        _NAMED,
        (
            rf"(?P<keep>{_START}(?P<name>(?:(?:api|access|secret|auth|bearer|private)[ ])?[\w-]++)"
            rf"(?:=|:[ \t]{{1,4}}))(?P<value>{_WORD}++={{0,2}}+)(?=[ \t\r]{{0,9}}(?:$|(?<=[ \t])[^=\s]))"
        ),
        _told,
        _I | _M,
    ),
    _rule(
        "sig key code",
        rf"(?P<keep>[?&](?:sig|key|code|x-amz-signature|x-amz-credential)=)(?=[^\s]{{0,40}}\d){_VALUE}{{16,}}+",
        flags=_I,
    ),
    # an option of a command line, and the user that curl is given
    _rule(
        _NAMED,
        (
            r"(?P<keep>(?<![\w-])--(?P<name>[\w-]++)(?:=|[ ]{1,4}))"
            rf"(?=[^\s]{{0,80}}[\d!@#$%^&*+/~])(?P<value>(?!-){_VALUE}++)"
        ),
        _paired,
    ),
    _rule(
        "curl", rf"(?P<keep>\bcurl\b[^\n]{{0,400}}?(?:[ ]-u|--user)[ ]?[\"']?[^\s:\"']{{1,80}}:){_VALUE}++"
    ),
    # the pair that HTTP clients take for a user
    _rule(
        "auth",
        (
            r"(?P<keep>\b(?:auth|HTTPBasicAuth)[ ]?=?[ ]?\([ ]?[\"'][^\"'\n]{0,100}[\"'],[ ]?[\"'])"
            r"[^\"'\n]++(?=[\"'])"
        ),
    ),
    # a header with its scheme
    _rule(
        "authorization",
        (
            r"(?P<keep>\bauthorization(?:\\?[\"'])?\]?[ \t]{0,9}[:=,][ \t]{0,9}[bf]?(?:\\?[\"'])?"
            r"(?:basic|bearer|digest|token|apikey) )[A-Za-z0-9][^\s\"'\\(){}<>]{5,}+"
        ),
        flags=_I,
    ),
    _rule(
        "key token secret",
        (
            rf"(?P<keep>{_START}(?:x-[a-z-]{{0,40}}(?:key|token|secret)|api-?key|private-token):[ ]?)"
            rf"(?=[^\s]{{0,80}}\d){_VALUE}{{6,}}+"
        ),
        flags=_I,
    ),
    _rule(
        "cookie",
        (
            r"(?P<keep>\b(?:set-)?cookie:[^\n]{0,300}?\b[\w-]{0,40}(?:sess|auth|token|sid|jwt)[\w-]{0,40}=)"
            rf"{_VALUE}{{8,}}+"
        ),
        flags=_I,
    ),
    # a bearer's token elsewhere: a word of prose after "basic" has no digit
    _rule(
        "bearer basic",
        r"(?P<keep>\b(?:bearer|basic)[ \t]{1,4})(?=[A-Za-z._~+/-]{0,200}[0-9=])[A-Za-z0-9._~+/=-]{12,}+",
        flags=_I,
    ),
    # the shapes that services give their own keys; AWS's second half is known by the first
    _rule(
        "akia asia",
        r"(?P<keep>\b(?:AKIA|ASIA)[A-Z0-9]{16}[^A-Za-z0-9+/\n]{1,12})[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/])",
    ),
    _rule("akia asia", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _rule(
        "gho_ ghp_ ghr_ ghs_ ghu_ github_pat_",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{40,}+)",
    ),
    _rule(
        "hf_ dapi npm_ pypi- aiza ya29. gocspx gl dop_ hvs. gsk_ r8_ shp pmak ntn_ dckr lin_ pplx xai",
        (
            r"\b(?:hf_[A-Za-z0-9]{30,}+|dapi[0-9a-f]{32}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{32,}+|AIza[\w-]{35}"
            r"|ya29\.[\w-]{20,}+|GOCSPX-[\w-]{20,}+|gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w-]{20,}+"
            r"|glsa_\w{32,}+|do[opr]_v1_[0-9a-f]{64}|hvs\.[\w-]{24,}+|gsk_[A-Za-z0-9]{40,}+|r8_[A-Za-z0-9]{36,}+"
            r"|shp(?:at|ss|ca|pa)_[0-9a-f]{32}|PMAK-[0-9a-f-]{50,}+|ntn_[A-Za-z0-9]{40,}+|dckr_pat_[\w-]{20,}+"
            r"|lin_api_[A-Za-z0-9]{32,}+|pplx-[A-Za-z0-9]{40,}+|xai-[A-Za-z0-9]{60,}+)"
        ),
    ),
    _rule("_live_ _test_ whsec_", r"\b(?:[srp]k_(?:live|test)_[A-Za-z0-9]{10,}+|whsec_[A-Za-z0-9+/=]{20,}+)"),
    # OpenAI, Anthropic; scikit-learn's pages have classes such as sk-estimator-doc-link
    _rule("sk-", r"\bsk-(?!(?:container|estimator|text)\b|toggleable)(?=[\w-]{0,80}\d)[\w-]{16,}+"),
    _rule("xox xapp-", r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}+"),
    _rule(
        "/services/ /webhooks/",
        (
            r"(?P<keep>hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/\d{1,24}/)"
            r"[A-Za-z0-9_/-]{16,}+"
        ),
    ),
    _rule("sg.", r"\bSG\.[\w-]{16,}+\.[\w-]{16,}+"),
    _rule("eyj", r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,}+"),
)
