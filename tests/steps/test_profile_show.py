"""How a profile shows itself: in words, in a notebook's html, and as a report."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from profiles import EVIL, changes, evil, evil_profile, flights, flights_profile, summary_of

from mlops_magics.foundation.blocks import Name, Phrase, Table, shown, text_of
from mlops_magics.foundation.html import page_part
from mlops_magics.steps.profile.code import Writer, of_column, of_segment
from mlops_magics.steps.profile.drawing import bars, distribution, merged, sparkline
from mlops_magics.steps.profile.result import Profile
from mlops_magics.steps.profile.wording import moment, percent, phrase, size


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_what_harms_most_comes_first() -> None:
    lines = str(flights_profile()).splitlines()
    assert lines[0].startswith("✗ flights: 3,007 rows · 22 columns")
    assert lines[0].endswith("1 alert of high harm")
    assert lines[2].split()[:2] == ["high", "visib"]
    carrier = next(line for line in lines if line.strip().startswith("carrier  "))
    assert "category" in carrier
    assert "UA 17.4 %" in carrier
    assert "█" in carrier


def test_a_profile_is_asked_by_name() -> None:
    profile = flights_profile()
    assert profile.columns["wind_gust"].missing_rate == pytest.approx(0.764, abs=0.01)
    assert profile.target is not None
    assert profile.target.name == "late"
    assert profile.alert("missing") is profile.alerts[1]
    assert profile.alert("missing", "carrier") is None


def test_json_has_every_fact() -> None:
    told = json.loads(flights_profile(changes=changes(), against="2012").to_json())
    assert told["table"]["columns"][0]["name"] == "sched_dep"
    assert told["changes"][0]["status"] == "changed"
    assert "desk" not in told


def test_changes_are_named_and_what_stayed_is_not() -> None:
    text = str(flights_profile(changes=changes(), against="2012"))
    assert "against 2012 · 2 columns of 3 changed" in text
    assert "the mean of distance doubled" in text
    assert "nothing changed" in str(flights_profile(against="2012"))


def test_many_columns_are_counted_instead_of_shown() -> None:
    wide = pd.DataFrame({f"c{place}": [place, 1, 2] for place in range(70)})
    profile = Profile(summary_of(wide, "wide"))
    assert "and 10 more columns" in str(profile)
    assert "nothing to warn of" in str(profile)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame({"x": []}),
        pd.DataFrame({"x": [None, None]}),
        pd.DataFrame({"x": [1]}),
        pd.DataFrame({"x": [""] * 3}),
        pd.DataFrame({1: [1, 2], ("a", 2): [3, 4]}),
    ],
    ids=["no columns", "no rows", "no values", "one value", "empty texts", "odd names"],
)
def test_odd_tables_are_shown(frame: pd.DataFrame) -> None:
    profile = Profile(summary_of(frame))
    assert str(profile)
    assert profile._repr_mimebundle_()[0]["text/html"]


def test_names_and_values_are_text() -> None:
    profile = evil_profile()
    reader = Reader()
    reader.feed(page_part(profile.blocks()))
    tags = "style div i span bdi table thead tbody tr th td p svg path rect"
    assert reader.tags <= set(tags.split())
    attributes = "class scope title viewbox width height role aria-label d x y opacity"
    assert reader.attributes <= set(attributes.split())
    text = str(profile)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 2500, "a long name is cut"
    assert ("long " * 2000) in page_part(profile.blocks()), "and whole in the title"


def test_a_name_is_set_apart_and_cut() -> None:
    rtl = EVIL[5]
    cell = Phrase(("of ", Name(rtl), " and ", Name("x" * 100)))
    html = page_part([Table(("a",), [(cell,)])])
    assert f"of <bdi>{rtl}</bdi> and <bdi title" in html
    assert text_of([Table(("a",), [(cell,)])]).splitlines()[1].endswith("x…")


@pytest.mark.parametrize(
    ("text", "names", "parts"),
    [
        ("a is a flag.", ["a"], ["a", " is ", "a", " flag."]),
        ("data is late", ["a"], ["data is late"]),
        ("x.y and x", ["x", "x.y"], ["x.y", " and ", "x"]),
        ("nothing", ["", " "], ["nothing"]),
        ("(odd) [x]", ["(odd)"], ["(odd)", " [x]"]),
    ],
)
def test_names_are_found_in_sentences(text: str, names: list[str], parts: list[str]) -> None:
    found = phrase(text, names)
    assert [shown(part) for part in found.parts] == parts


@pytest.mark.parametrize(
    ("share", "value"),
    [(0, 0), (1, 100), (0.5, 50), (0.12345, 12.3), (0.00001234, 0.0012), (0.99999, 99.999)],
)
def test_little_is_never_nothing(share: float, value: float) -> None:
    assert percent(share) == value


def test_values_are_written_for_a_reader() -> None:
    assert moment("2013-01-01T00:00:00") == "2013-01-01"
    assert moment("2013-01-01T05:15:00") == "2013-01-01 05:15"
    assert moment("2013-01-01T05:15:07.25") == "2013-01-01T05:15:07.25"
    assert moment("2013-01-01T05:15:00+00:00") == "2013-01-01 05:15+00:00"
    assert moment("at T00:00 sharp") == "at T00:00 sharp"
    assert (size(0), size(1536), size(3 * 1024**4)) == ("0 bytes", "1.5 KB", "3 TB")


def test_drawings_are_small_and_stable() -> None:
    assert sparkline([0, 1, 50, 100]) == "▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert merged([1] * 40, 24) == [2] * 20
    assert bars([], 96, 18) == bars([0], 96, 18) == ""
    assert bars([1, 2], 20, 10) == '<path stroke-width="9" d="M5 10V5M15 10V0"/>'
    table = flights_profile().table
    drawn = [distribution(column) for column in table.columns]
    assert all(figure is not None and len(figure.svg) < 1200 for figure in drawn)
    constant = replace(table.columns[6], distinct=1, numbers=None)
    assert distribution(constant) is None


def test_a_report_stands_alone() -> None:
    page = flights_profile(changes=changes(), against="2012").to_html()
    page = page.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    reader = Reader()
    reader.feed(page)
    assert "details" in reader.tags
    assert page.count("<details>") == 22
    for word in ("http:", "https:", "@import", "url(", " style="):
        assert word not in page
    assert "default-src 'none'" in page
    assert len(page.encode()) < 150_000


def test_details_are_capped_and_counted() -> None:
    wide = pd.DataFrame({f"c{place}": [place, 1, 2] for place in range(120)})
    page = Profile(summary_of(wide, "wide")).to_html()
    assert page.count("<details>") == 50
    assert "70 columns without details" in page


@pytest.mark.parametrize(("rows", "columns", "most"), [(2000, 20, 150_000), (2000, 50, 500_000)])
def test_a_report_is_small(rows: int, columns: int, most: int) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({f"measure_{place}": generator.normal(size=rows) for place in range(columns)})
    assert len(Profile(summary_of(frame)).to_html().encode()) < most


def test_nothing_in_a_report_ends_its_script() -> None:
    page = evil_profile().to_html()
    reader = Reader()
    reader.feed(page.partition("<script")[0])
    assert reader.tags & {"script", "img"} == set()
    assert not any(name.startswith("on") for name in reader.attributes)
    if "application/json" in page:
        data = page.partition('id="profile">')[2].partition("</script>")[0]
        assert "<" not in data
        assert json.loads(data)["view"]["columns"][0]["name"] == EVIL[0]
        assert page.count("</script>") == 2
    assert len(page) < 1_000_000


def test_code_is_python_whatever_the_names_are() -> None:
    frame = evil()
    for column in summary_of(frame).columns:
        for _label, line in of_column(Writer("df"), column):
            assert eval(line, {"df": frame}) is not None  # noqa: S307 - the code that a reader would run


def test_a_segment_is_a_filter() -> None:
    """Each filter finds as many rows as its segment holds: bounds are exact, not the rounded ones shown."""
    frame = flights(3000)
    frame["gate"] = frame["sched_dep"].dt.tz_localize("UTC")
    frame["early"] = frame["hour"] < 9
    frame["waited"] = frame["sched_dep"] - frame["sched_dep"].min()
    table = summary_of(frame, target="late")
    assert table.target is not None
    kinds = set()
    for segment in table.target.segments:
        column = table.by_name[segment.column]
        line = of_segment(Writer.of(table), segment, column)
        kinds.add(column.kind)
        if column.kind == "duration":
            assert line == ""
        else:
            assert len(eval(line, {"flights": frame})) == segment.rows, line  # noqa: S307 - what a reader would run
    assert {"integer", "float", "date", "string"} <= kinds
    file = Writer.of(replace(table, source="a b/flights.csv"))
    assert file.whole("df").splitlines()[0] == "df = pd.read_csv('a b/flights.csv')"
    assert Writer.of(replace(table, source="class")).frame == "df"
