"""What a column means, as far as its values tell, and whether it looks personal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlops_magics.stats.summary import Kind, Lengths, Level, Meaning, Personal

_ORDINAL: Final = 20  # different whole numbers that may be steps of a scale
_CATEGORY: Final = 1_000  # different texts that may be names of categories
_SELDOM: Final = 0.5  # distinct texts a row, above which they name nothing
_IDENTIFIES: Final = 0.98  # distinct values a row, from which on they identify it
_LONG: Final = 40  # characters on average: prose
_MOST: Final = 0.8  # of the texts looked at must have a form for the column to have it
_LOOKED_AT: Final = 500  # texts a form is looked for in
_ENOUGH: Final = 5  # texts; fewer show no form
_DIGITS: Final = 5  # a phone number has at least so many

_FORMS: Final[Mapping[Personal, re.Pattern[str]]] = {
    "email": re.compile(r"[^@\s]{1,64}@[^@\s.]{1,63}(?:\.[^@\s.]{1,63}){1,4}"),
    "ip": re.compile(
        r"(?:\d{1,3}\.){3}\d{1,3}|(?=.*::|(?:[^:]*:){7})[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}", re.IGNORECASE
    ),
    "card": re.compile(r"(?:\d{4}[ -]?){3}\d{1,7}"),
    "account": re.compile(r"[A-Z]{2}\d{2}[ ]?(?:[A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}"),
    "phone": re.compile(r"(?=(?:\D*\d){7,15}\D*$)(?:\+|00|\()[\d ().-]{7,24}|\d{3}[ .-]\d{3}[ .-]\d{4}"),
}
# A name is a hint only where the values do not speak against it.
_NAMED: Final[Sequence[tuple[Personal, re.Pattern[str]]]] = (
    ("email", re.compile(r"(?:^|[_. -])e?-?mails?(?:$|[_. -]|addr)", re.IGNORECASE)),
    ("phone", re.compile(r"(?:^|[_. -])(?:phone|telephone|mobile|fax)(?:$|[_. -]|no|num)", re.IGNORECASE)),
    (
        "name",
        re.compile(
            r"^(?:first|last|full|sur|given|family|middle|maiden|user|customer|patient|person)[_. -]?name$",
            re.IGNORECASE,
        ),
    ),
    ("address", re.compile(r"(?:^|[_. -])(?:street|address|addr|postcode|zip_?code)\d?$", re.IGNORECASE)),
    ("birth", re.compile(r"(?:^|[_. -])(?:birth_?(?:date|day)|date_?of_?birth|dob)$", re.IGNORECASE)),
    (
        "account",
        re.compile(r"(?:^|[_. -])(?:iban|ssn|passport|social_security)(?:$|[_. -]|no|num)", re.IGNORECASE),
    ),
)
_UUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_DATE = re.compile(
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})"
    r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_NUMBER = re.compile(r"\s*[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d+)?\s*%?\s*")
_ID_NAME = re.compile(r"(?:^|[_. -])(?:id|key|uuid|guid|no|nr|number|index)$|(?<=[a-z])(?:Id|ID|Key)$")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a column before it is named.

    Attributes:
        name: Its name.
        kind: How it is stored.
        rows: The table's rows.
        held: Rows with a value.
        distinct: Different values.
        whole: Whether its numbers are whole.
        steps: Whether its numbers are so few and so even that they are steps of a scale.
        course: "up", "down" or "".
        lengths: Of its texts.
        top: Its most frequent values.
        texts: Some of its texts.
    """

    name: str
    kind: Kind
    rows: int
    held: int
    distinct: int
    whole: bool = False
    steps: bool = False
    course: str = ""
    lengths: Lengths | None = None
    top: tuple[Level, ...] = ()
    texts: tuple[str, ...] = ()


def meaning(found: Evidence) -> Meaning:
    """Name what a column means: a guess from its values that errs towards "number" and "category"."""
    if found.kind == "empty" or not found.held:
        return "empty"
    if found.distinct <= 1:
        return "constant"
    if found.kind == "boolean" or found.distinct == 2:  # noqa: PLR2004 - yes and no
        return "flag"
    if found.kind in {"date", "duration"}:
        return "date" if found.kind == "date" else "number"
    if found.kind in {"string", "other"}:
        return _text_meaning(found)
    return _number_meaning(found)


def _number_meaning(found: Evidence) -> Meaning:
    unique = found.distinct >= _IDENTIFIES * found.held and found.held >= _ENOUGH
    if found.whole and unique and (found.course or _ID_NAME.search(found.name)):
        return "id"
    if found.whole and found.steps and found.distinct <= _ORDINAL and found.held > 2 * found.distinct:
        return "ordinal"
    return "number"


def _text_meaning(found: Evidence) -> Meaning:
    mean = found.lengths.mean if found.lengths else 0.0
    spaced = share(found.texts, lambda text: " " in text.strip())
    if looks_like_dates(found.texts):
        return "date"
    if found.distinct >= _IDENTIFIES * found.held and found.held >= _ENOUGH:
        coded = share(found.texts, lambda text: bool(_UUID.fullmatch(text))) > _MOST
        return "id" if coded or (mean <= _LONG and spaced < 1 - _MOST) else "text"
    if mean > _LONG and spaced > _MOST and found.distinct > _ORDINAL:
        return "text"
    often = found.distinct <= _CATEGORY or found.distinct <= _SELDOM * found.held
    if often and (mean <= _LONG or found.distinct <= _ORDINAL):
        return "category"
    return "text" if spaced > 1 - _MOST else "id"


def personal(found: Evidence, named: Meaning) -> Personal:
    """Say which kind of personal data a column looks like, by its values first and its name second."""
    if found.kind in {"string", "other"} and len(found.texts) >= _ENOUGH:
        for form, pattern in _FORMS.items():
            if _formed(found.texts, pattern) > _MOST:
                return form
    for form, pattern in _NAMED:
        if pattern.search(found.name) and _may_be(form, found):
            return form
    return "free text" if named == "text" else ""


def _formed(texts: Sequence[str], pattern: re.Pattern[str]) -> float:
    return share(texts, lambda text: bool(pattern.fullmatch(text.strip())))


def _may_be(form: Personal, found: Evidence) -> bool:
    """Tell whether values may be what a column's name says: a flag ``has_email`` is no address."""
    if found.distinct <= 2:  # noqa: PLR2004 - yes and no
        return False
    if form == "birth":
        return found.kind in {"date", "string"}
    if form == "phone" and found.texts:
        return share(found.texts, lambda text: sum(map(str.isdigit, text)) >= _DIGITS) > _SELDOM
    return found.kind in {"string", "other"} or (form in {"phone", "account"} and found.whole)


def looks_personal(text: str) -> bool:
    """Tell whether one text has the form of personal data: an email, a phone number, a card."""
    return any(pattern.fullmatch(text.strip()) for pattern in _FORMS.values())


def looks_like_dates(texts: Sequence[str]) -> bool:
    """Tell whether texts are dates."""
    return (
        len(texts) >= _ENOUGH and share(texts, lambda text: bool(_DATE.fullmatch(text.strip()))) > _IDENTIFIES
    )


def share_of_numbers(texts: Sequence[str]) -> float:
    """Return the share of texts that are numbers, thousands and percent signs allowed."""
    return share(texts, lambda text: any(c.isdigit() for c in text) and bool(_NUMBER.fullmatch(text)))


def share(texts: Sequence[str], holds: Callable[[str], bool]) -> float:
    """Return the share of texts for which something holds; 0 of none."""
    looked = texts[:_LOOKED_AT]
    return sum(map(holds, looked)) / len(looked) if looked else 0.0
