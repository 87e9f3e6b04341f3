"""Secrets are masked before anything leaves the kernel.

The rules know the shapes that secrets have in code, printed output and addresses. They are few and
strict: a rule that fires on ordinary text would teach people to turn masking off.
"""

from __future__ import annotations

import re

MASK = "****"

_WORDS = r"(?:passw(?:or)?d|secret|api[_-]?key|access[_-]?key|token|credential)s?"
_NAMES = r"[A-Z0-9_]{0,60}(?:PASSW(?:OR)?D|SECRET|API_?KEY|ACCESS_?KEY|TOKEN|CREDENTIAL)[A-Z0-9_]{0,40}"

_SECRET_NAME = re.compile(rf"(?:^|[_.-]){_WORDS}$", re.IGNORECASE)

# Each rule keeps its group "keep", where it has one, and masks the rest.
_RULES = tuple(
    re.compile(pattern, re.IGNORECASE if insensitive else re.MULTILINE)
    for insensitive, pattern in (
        # the password in an address; the port and the path of host:80/flights@champion are none
        (
            False,
            (
                r"(?P<keep>(?<=[A-Za-z0-9])://[^\s:/@'\"]{0,100}:)"
                r"(?!\d{1,5}/)[^\s@'\"]{1,200}(?:@[^\s@/'\"]{1,200}){0,4}(?=@)"
            ),
        ),
        # password = "...", api_key: '...', x["token"] = "...", token: str = "..." (a literal, not a call or a
        # name); in the JSON of a notebook the quotes stand behind backslashes
        (
            True,
            (
                rf"(?P<keep>{_WORDS}[\w-]{{0,40}}(?:\\?[\"'])?\]?(?:\s{{0,9}}:\s{{0,9}}\w[\w.| ]{{0,40}})?"
                r"\s{0,9}[:=]\s{0,9}[rbu]{0,2}(?P<quote>\\?[\"']))(?:(?!(?P=quote))[^\n]){4,}?(?=(?P=quote))"
            ),
        ),
        # API_TOKEN=... on a line of its own: what env prints, what %env and export set
        (False, rf"(?P<keep>^\W{{0,4}}(?:(?:export|env|set_env)[ \t]+)?{_NAMES}=)(?!\d+$)[^\s\"'()]{{4,}}$"),
        # the default of a variable, in getenv and setdefault
        (
            False,
            rf"(?P<keep>(?P<quote>[\"']){_NAMES}(?P=quote)\s{{0,9}},\s{{0,9}}[\"'])[^\"'\n]{{4,}}(?=[\"'])",
        ),
        # a header with its scheme
        (
            True,
            (
                r"(?P<keep>\bauthorization(?:\\?[\"'])?[ \t]{0,9}[:=,][ \t]{0,9}(?:\\?[\"'])?"
                r"(?:basic|bearer|digest|token) )[A-Za-z0-9][^\s\"'\\(){}<>]{5,}"
            ),
        ),
        # a bearer's token elsewhere: a word of prose after "basic" has no digit
        (True, r"(?P<keep>\b(?:bearer|basic)\s+)(?=[A-Za-z._~+/-]{0,200}[0-9=])[A-Za-z0-9._~+/=-]{12,}"),
        (False, r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        (False, r"\bgh[pousr]_[A-Za-z0-9]{30,}\b"),
        (False, r"\bgithub_pat_[A-Za-z0-9_]{40,}\b"),
        (False, r"\b(?:hf_[A-Za-z0-9]{30,}|dapi[0-9a-f]{32}|glpat-[\w-]{20,}|AIza[\w-]{35})"),
        # scikit-learn's pages have classes such as sk-estimator-doc-link
        (False, r"\bsk-(?!(?:container|estimator|text)\b|toggleable)(?=[\w-]{0,80}\d)[\w-]{16,}"),
        (False, r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b"),
        (False, r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\b"),
        (False, r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----"),
    )
)


def masked(text: str) -> str:
    """Replace each secret in a text.

    Args:
        text: Code, output, a parameter or an address.

    Returns:
        The text with ``****`` in the place of each secret; everything else is untouched.
    """
    for rule in _RULES:
        text = rule.sub(_hide, text)
    return text


def masked_value(name: str, value: str) -> str:
    """Replace a named value where its name says that it is a secret, and each secret in it otherwise.

    Args:
        name: The name of a parameter or a tag, such as ``api_key``.
        value: Its value as text.
    """
    return MASK if _SECRET_NAME.search(name) else masked(value)


def _hide(match: re.Match[str]) -> str:
    keep = match.groupdict().get("keep")
    return f"{keep or ''}{MASK}"
