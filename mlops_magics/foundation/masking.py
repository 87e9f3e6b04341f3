"""Secrets are masked before anything leaves the kernel.

The rules know the shapes that secrets have in code, printed output and addresses. They are few and
strict: a rule that fires on ordinary text would teach people to turn masking off.
"""

from __future__ import annotations

import re

MASK = "****"

# Each rule keeps its group "keep", where it has one, and masks the rest.
_RULES = tuple(
    re.compile(pattern, re.IGNORECASE if insensitive else 0)
    for insensitive, pattern in (
        # scheme://user:password@host
        (False, r"(?P<keep>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@'\"]+:)[^\s@'\"]+(?=@)"),
        # password = "...", api_key: '...', token="..." (a literal, not a call or a name)
        (
            True,
            (
                r"(?P<keep>\b[\w-]*(?:passw(?:or)?d|secret|api[_-]?key|access[_-]?key|token|credential)s?"
                r"[\w-]*[\"']?\s*[:=]\s*[\"'])[^\"'\n]{4,}(?=[\"'])"
            ),
        ),
        # Authorization: Bearer ...
        (True, r"(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{12,}"),
        (False, r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        (False, r"\bgh[pousr]_[A-Za-z0-9]{30,}\b"),
        (False, r"\bgithub_pat_[A-Za-z0-9_]{40,}\b"),
        (False, r"\bsk-[A-Za-z0-9_-]{16,}\b"),
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


def _hide(match: re.Match[str]) -> str:
    keep = match.groupdict().get("keep")
    return f"{keep or ''}{MASK}"
