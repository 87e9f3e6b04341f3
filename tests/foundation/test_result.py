"""Results and how they are shown: blocks, html, JSON, what a notebook stores."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_magics.foundation.blocks import Block, Code, Facts, Figure, Note, Table, Title, shown, text_of
from mlops_magics.foundation.html import page, page_part
from mlops_magics.foundation.result import Result, live

BAD = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onload='x",
    "{{7*7}}",
    "${HOME}",
    "&lt;",
]


@dataclass(frozen=True)
class Inner:
    name: str
    secret: Any = live(default=None)


@dataclass(frozen=True)
class Sample(Result):
    value: Any
    estimator: Any = live(default=None)

    def blocks(self) -> Iterable[Block]:
        yield Title("Sample", "well", "good")
        yield Facts([("value", self.value)])

    def ids(self) -> dict[str, str]:
        return {"run": "abc"}


@dataclass(frozen=True)
class Moment(Sample):
    volatile = True

    def ids(self) -> dict[str, str]:
        return {}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("bad", BAD)
def test_a_name_is_text_in_each_place_of_a_page(bad: str) -> None:
    blocks = [
        Title(bad, bad, "bad"),
        Facts([(bad, bad)]),
        Table((bad, "n"), [(bad, 1)], ("good",)),
        Note(bad),
        Code(bad),
    ]
    reader = _Reader()
    reader.feed(page(bad, blocks))
    assert reader.texts.count(bad) == 9
    tags = "html meta title style div i span dl dt dd table thead tbody tr th td p pre code"
    assert reader.tags == set(tags.split())
    assert reader.attributes == {"lang", "charset", "name", "content", "class", "scope"}
    assert bad in text_of(blocks)


def test_a_page_stands_alone_in_light_and_dark() -> None:
    whole = page("t", [Note("n")])
    assert whole.startswith("<!doctype html>")
    assert '<meta name="color-scheme" content="light dark">' in whole
    assert "color-scheme:light dark" in page_part([])
    assert "light-dark(" in page_part([])
    for word in ("<script", "http:", "https:", "@import", "url("):
        assert word not in whole


def test_the_text_form_says_the_same() -> None:
    blocks = [
        Title("Run a", "done", "good"),
        Facts([("name", "x"), ("longer name", 0.123456)]),
        Table(("run", "auc"), [("a", 0.5), ("long one", None)]),
        Table(("none",), []),
        Note("mind", "bad"),
        Code("one\ntwo"),
        Figure("<svg></svg>", "a curve"),
    ]
    assert text_of(blocks).splitlines() == [
        "✓ Run a · done",
        "  name         x",
        "  longer name  0.1235",
        "  run       auc",
        "  a         0.5",
        "  long one    -",
        "  ✗ mind",
        "  one",
        "  two",
        "  [a curve]",
    ]
    assert "<svg></svg>" in page_part(blocks)
    assert '<td class="n">0.5</td>' in page_part(blocks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (2**63, "9,223,372,036,854,775,808"),
        (0.123456, "0.1235"),
        (12345.678, "12,346"),
        (3.0, "3"),
        (-0.0, "0"),
        (1e-7, "1e-07"),
        (1e300, f"{1e300:,.0f}"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("été 😀", "été 😀"),
        (np.int64(12), "12"),
        (np.float64(0.123456), "0.1235"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\ud800", "\\ud800"),
        ("a\nb", "a\nb"),
    ],
)
def test_a_value_is_written_for_a_reader(value: Any, text: str) -> None:
    assert shown(value) == text


def test_no_name_steers_a_terminal_or_breaks_a_message() -> None:
    bad = "\x1b]0;title\x07\ud800"
    blocks = [Title(bad, bad), Facts([(bad, bad)]), Table((bad,), [(bad,)]), Note(bad)]
    for form in (text_of(blocks), page_part(blocks)):
        assert "\x1b" not in form
        form.encode()


def test_json_holds_each_field_but_the_kernels_objects() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    value = {
        1: float("nan"),
        "inf": float("inf"),
        "numpy": [np.int64(3), np.float32(0.5), np.float64("nan"), np.array([1, 2])],
        "when": when,
        "path": Path("a/b"),
        "inner": (Inner("x", secret=object()), Sample("y")),
        "set": {"b", "a"},
        "big": 2**70,
        "object": ValueError("x"),
    }
    sample = Sample(value, estimator=object())
    told = json.loads(sample.to_json(), parse_constant=pytest.fail)
    assert told == sample.to_dict()
    assert told == {
        "value": {
            "1": None,
            "inf": None,
            "numpy": [3, 0.5, None, [1, 2]],
            "when": "2026-01-02T00:00:00+00:00",
            "path": "a/b",
            "inner": [{"name": "x"}, {"value": "y"}],
            "set": ["a", "b"],
            "big": 2**70,
            "object": "x",
        }
    }


def test_what_a_notebook_stores() -> None:
    data, metadata = Sample(1)._repr_mimebundle_(include=None, exclude=None)
    assert set(data) == {"text/plain", "text/html"}
    assert data["text/plain"] == str(Sample(1)) == "✓ Sample · well\n  value  1"
    assert metadata == {"mlops_magics": {"type": "Sample", "ids": {"run": "abc"}}}
    assert "abc" not in data["text/html"]
    assert Moment(1)._repr_mimebundle_()[1] == {"mlops_magics": {"type": "Moment", "volatile": True}}
    assert "<title>Sample · mlops-magics</title>" in Sample(1).to_html()


def test_a_live_object_is_neither_shown_nor_compared() -> None:
    assert Sample(1, estimator=object()) == Sample(1, estimator=object())
    assert "estimator" not in repr(Sample(1, estimator=object()))
