"""The profile card and the report in a browser: alone with a fake kernel, and once in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Locator, Page, expect
from profiles import EVIL, changes, evil_profile, flights_profile, summary_of

from mlops_magics.foundation.html import page as static_page
from mlops_magics.steps.profile.result import Profile

from .jupyter import command, kernel_ready, run_all, shot

pytestmark = pytest.mark.browser

NewCard = Callable[..., Any]
Scan = Callable[[Page], list[str]]
SHEETS = Path(__file__).resolve().parents[2] / "mlops_magics" / "frontends" / "widgets" / "static"
TABS = ["Columns", "Segments", "Associations", "Missing", "Changes", "First rows"]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return flights_profile(400, changes=changes(), against="2012", notes=("A note.",))


@pytest.fixture
def card(new_card: NewCard, profile: Profile) -> Any:
    """The card with a kernel that answers."""
    return answered(new_card(profile.overview(), "profile"), profile)


def answered(card: Any, profile: Profile) -> Any:
    details = [profile.detail(place) for place in range(len(profile.table.columns))]
    card.page.evaluate("(details) => { model.details = details }", details)
    return card


def detail(page: Page) -> Locator:
    return page.get_by_role("group", name="Column in detail")


def names(page: Page) -> list[str]:
    return page.locator(".mlp-columns tbody th bdi").all_inner_texts()


def test_an_alert_leads_to_its_column(card: Any) -> None:
    page = card.page
    first = page.get_by_role("list", name="Alerts").get_by_role("listitem").first
    expect(first).to_contain_text("high")
    expect(first).to_contain_text("visib alone predicts late")
    first.get_by_role("button", name="visib alone").click()
    expect(detail(page)).to_contain_text("float64 · number")
    expect(detail(page)).to_contain_text("kurtosis")
    expect(page.locator("tr.mlp-open")).to_contain_text("visib")
    assert [(one["ask"], one["column"]) for one in card.sent] == [("column", 17)]


def test_every_heading_sorts(card: Any) -> None:
    page = card.page
    before = names(page)
    heads = page.locator(".mlp-columns thead th")
    for place in range(heads.count()):
        head = heads.nth(place)
        head.get_by_role("button").click()
        first = head.get_attribute("aria-sort")
        head.get_by_role("button").press("Enter")
        assert {first, head.get_attribute("aria-sort")} == {"ascending", "descending"}
        head.get_by_role("button").press("Enter")
        assert head.get_attribute("aria-sort") == "none"
        assert names(page) == before
    page.get_by_role("columnheader", name="Missing").get_by_role("button").click()
    assert names(page)[0] == "wind_gust"
    page.get_by_role("columnheader", name="Mean", exact=True).get_by_role("button").click()
    assert names(page)[-1] == "late", "what has no mean comes last"


def test_columns_are_filtered(card: Any) -> None:
    page = card.page
    page.get_by_label("Filter columns by name").fill("WIND")
    assert names(page) == ["wind_speed", "wind_gust"]
    expect(page.get_by_text("2 of 22 columns")).to_be_visible()
    page.get_by_label("Which columns").select_option("with alerts")
    assert names(page) == ["wind_gust"]
    page.get_by_label("Filter columns by name").fill("")
    assert names(page) == ["wind_gust", "precip", "visib"]
    page.get_by_label("Meaning", exact=True).select_option("category")
    expect(page.get_by_text("No column matches.")).to_be_visible()
    page.get_by_role("button", name="wind_gust is missing").click()
    assert len(names(page)) == 22, "an alert finds its column whatever is filtered"


@pytest.mark.parametrize("width", [960, 700])
def test_the_filters_stand_in_a_line(card: Any, width: int) -> None:
    page = card.page
    for sheet in sorted(SHEETS.glob("*.css")):  # as in a notebook that shows every card
        page.add_style_tag(path=sheet)
    page.set_viewport_size({"width": width, "height": 760})
    line = [
        page.get_by_label("Filter columns by name"),
        page.get_by_label("Meaning", exact=True),
        page.get_by_label("Which columns"),
        page.get_by_text("22 columns", exact=True),
    ]
    boxes = [part.bounding_box() for part in line]
    middles = [box["y"] + box["height"] / 2 for box in boxes if box]
    assert len(middles) == 4
    assert max(middles) - min(middles) < 4
    shot(page, f"profile-filters-{width}")


def test_a_late_answer_replaces_nothing(new_card: NewCard, profile: Profile) -> None:
    card = new_card(profile.overview(), "profile")
    page = card.page
    for name in ("month", "hour"):
        page.get_by_role("button", name=name, exact=True).click()
    late, last = ({"id": one["id"], "detail": profile.detail(one["column"])} for one in card.sent)
    page.evaluate("(answer) => model.reply(answer)", last)
    expect(detail(page).get_by_role("heading")).to_have_text("hour")
    page.evaluate("(answer) => model.reply(answer)", late)
    page.evaluate("() => { model.reply(null); model.reply({ id: 7 }); model.reply('x') }")
    expect(detail(page).get_by_role("heading")).to_have_text("hour")
    expect(detail(page)).to_contain_text("kurtosis")
    page.get_by_role("button", name="month", exact=True).click()
    expect(detail(page)).to_contain_text("kurtosis")
    assert len(card.sent) == 2, "what was answered is not asked again"


def test_a_refusal_is_said(new_card: NewCard, profile: Profile) -> None:
    card = new_card(profile.overview(), "profile")
    card.page.get_by_role("button", name="month", exact=True).click()
    error = {"what": "It went wrong.", "remedy": "Try again."}
    card.page.evaluate("(error) => model.reply({ id: model.sent[0].id, error })", error)
    expect(card.page.locator(".mlp-status")).to_have_text("It went wrong. Try again.")
    expect(detail(card.page)).to_contain_text("It went wrong.")


def test_the_keyboard_reaches_everything(card: Any) -> None:
    page = card.page
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
    page.get_by_role("tab", name="Columns").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="First rows")).to_be_focused()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Columns")).to_have_attribute("aria-selected", "true")
    page.get_by_role("columnheader", name="Skill").get_by_role("button").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(focused).strip() == "sched_dep"
    page.keyboard.press("End")
    expect(page.locator(":focus")).to_contain_text("late")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(detail(page).get_by_role("heading")).to_have_text("seats")
    expect(page.locator(":focus")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Enter")
    expect(detail(page)).to_be_hidden()
    page.get_by_role("tab", name="Associations").click()
    page.get_by_role("group", name="Association map").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".mlp-together [role=status]")).to_contain_text("weekday with sched_dep: ")
    page.keyboard.press("Enter")
    expect(detail(page).get_by_role("heading")).to_have_text("weekday")


def test_code_is_copied(new_card: NewCard, profile: Profile) -> None:
    card = new_card(profile.overview(), "profile", permissions=["clipboard-read", "clipboard-write"])
    page = card.page
    page.get_by_role("tab", name="Segments").click()
    page.get_by_role("button", name="Copy code: rows of this segment").first.click()
    expect(page.locator(".mlp-status")).to_have_text("Copied.")
    expected = profile.overview()["segments"][0]["code"]
    assert expected.startswith("flights[flights[")
    # A page that is not https has no clipboard to read: what was copied is pasted.
    page.get_by_role("tab", name="Columns").click()
    page.get_by_label("Filter columns by name").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_label("Filter columns by name")).to_have_value(expected)


@pytest.mark.parametrize("how", ["disconnect()", "model.send = () => { throw new Error('no comm') }"])
def test_a_lost_kernel_leaves_what_is_there(new_card: NewCard, profile: Profile, how: str) -> None:
    card = answered(new_card(profile.overview(), "profile"), profile)
    page = card.page
    page.get_by_role("button", name="month", exact=True).click()
    expect(detail(page)).to_contain_text("kurtosis")
    page.evaluate(f"() => {{ {how} }}")
    page.get_by_role("button", name="hour", exact=True).click()
    expect(detail(page)).to_contain_text("The kernel is gone")
    page.get_by_role("button", name="month", exact=True).click()
    expect(detail(page)).to_contain_text("kurtosis")
    page.get_by_role("tab", name="Segments").click()
    expect(page.get_by_role("table", name="Segments")).to_be_visible()
    if how.startswith("dis"):
        expect(page.locator(".mlp-status")).to_contain_text("The kernel is gone")


def test_the_kernel_may_choose(card: Any) -> None:
    page = card.page
    page.evaluate("() => { model.place = 6; model.fire('change:place') }")
    expect(detail(page).get_by_role("heading")).to_have_text("carrier")
    page.evaluate("() => { model.place = 99; model.fire('change:place') }")
    expect(detail(page)).to_be_visible()


def nothing_ran(page: Page, inside: str) -> None:
    page.wait_for_timeout(100)
    assert page.locator(f"{inside} :is(img, script, iframe)").count() == 0
    assert page.locator(f"{inside} [onerror], {inside} [onload]").count() == 0


def evil_texts(page: Page, inside: str) -> None:
    """Each name is there as text, set apart from its neighbours."""
    bdis = page.locator(f"{inside} bdi").all_text_contents()
    for name in (EVIL[0], EVIL[1], EVIL[2], EVIL[3], EVIL[5], EVIL[7]):
        assert name in bdis
    assert any(text.startswith("turn\\u202egnp.exe\\x1b[31m\\x07") for text in bdis)
    assert any(text.startswith("long long") and len(text) <= 60 for text in bdis)
    everything = page.locator(inside).inner_text()
    assert "\u202e" not in everything
    assert "\x1b" not in everything


def test_names_and_values_are_text_in_the_card(new_card: NewCard) -> None:
    profile = evil_profile()
    card = answered(new_card(profile.overview(), "profile"), profile)
    page = card.page
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        nothing_ran(page, ".mlp")
    page.get_by_role("tab", name="Columns").click()
    evil_texts(page, ".mlp")
    for place in range(len(EVIL)):
        page.locator(".mlp-columns tbody th button").nth(place).click()
        expect(detail(page)).to_contain_text("distinct")
        nothing_ran(page, ".mlp")
    page.locator(".mlp-columns tbody th button").nth(4).click()
    long = detail(page).locator("strong details")
    long.locator("summary").press("Enter")
    assert long.locator("> bdi").inner_text().strip() == EVIL[4].strip(), "the whole name is within reach"
    page.set_viewport_size({"width": 500, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 500


def test_names_and_values_are_text_in_the_static_view(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    opened: list[str] = []
    page.on("dialog", lambda dialog: opened.append(dialog.message))
    page.set_content(static_page("evil", evil_profile().blocks()))
    nothing_ran(page, "body")
    evil_texts(page, "body")
    assert opened == []
    context.close()


def wide() -> Profile:
    frame = pd.DataFrame({f"column {place}": range(place, place + 20) for place in range(10)})
    table = summary_of(frame, "wide")
    columns = [
        replace(table.columns[place % 10], name=f"column {place}", position=place) for place in range(5000)
    ]
    return Profile(replace(table, columns=tuple(columns), head=()))


@pytest.mark.slow
def test_thousands_of_columns_stay_quick(new_card: NewCard) -> None:
    card = new_card(None, "profile")
    view = wide().overview()
    page = card.page
    took = []
    for _ in range(3):  # the best of three: what else the machine does is not ours
        page.evaluate("window.clean?.()")
        took.append(page.evaluate("(state) => timed(state)", view))
    assert min(took) < 500
    assert page.locator(".mlp-columns tbody tr").count() < 80
    expect(page.get_by_role("table", name="Columns")).to_have_attribute("aria-rowcount", "5001")
    page.locator(".mlp-columns tbody button").first.focus()
    page.keyboard.press("End")
    expect(page.locator(":focus")).to_have_text("column 4999")
    page.keyboard.press("ArrowUp")
    expect(page.locator(":focus")).to_have_text("column 4998")
    page.get_by_label("Filter columns by name").fill("49")
    expect(page.get_by_text("199 of 5,000 columns")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_card_is_accessible(new_card: NewCard, violations: Scan, profile: Profile, scheme: str) -> None:
    card = answered(new_card(profile.overview(), "profile", color_scheme=scheme), profile)
    page = card.page
    page.get_by_role("button", name="carrier", exact=True).click()
    expect(detail(page)).to_contain_text("distinct")
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        assert violations(page) == []
    page.evaluate("disconnect()")
    assert violations(page) == []


def test_an_empty_card_is_accessible(new_card: NewCard, violations: Scan) -> None:
    for view in (
        {},
        Profile(summary_of(pd.DataFrame())).overview(),
        Profile(summary_of(pd.DataFrame({"x": [None]}))).overview(),
    ):
        assert violations(new_card(view, "profile").page) == []


@pytest.mark.parametrize("forced", ["none", "active"])
def test_a_narrow_page_needs_no_sideways_scrolling(new_card: NewCard, profile: Profile, forced: str) -> None:
    page = answered(new_card(profile.overview(), "profile", forced_colors=forced), profile).page
    page.set_viewport_size({"width": 340, "height": 900})
    page.get_by_role("button", name="distance", exact=True).click()
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 340, tab


def test_cleaning_up_leaves_nothing(card: Any) -> None:
    assert card.page.evaluate("model.listening()") > 0
    card.page.evaluate("clean()")
    assert card.page.evaluate("model.listening()") == 0
    assert card.page.locator(".mlp").count() == 0


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Any:
    """Open a report as a file, and hold that nothing leaves the page, nothing fails, no policy is broken."""
    contexts, told = [], list[str]()

    def opened(profile: Profile, **options: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_text(profile.to_html(), "utf-8")
        context = browser.new_context(offline=True, viewport={"width": 1100, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        for event in ("pageerror", "console", "dialog", "requestfailed"):
            page.on(event, lambda what, event=event: told.append(f"{event}: {what}"))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert told == []


def test_a_report_answers_by_itself(open_report: Any, profile: Profile) -> None:
    page = open_report(profile, bypass_csp=False)
    expect(page.locator("#static")).to_be_hidden()
    page.get_by_role("columnheader", name="Missing").get_by_role("button").click()
    assert names(page)[0] == "wind_gust"
    page.get_by_role("button", name="carrier", exact=True).click()
    expect(detail(page)).to_contain_text("Most frequent")
    assert page.locator("script").count() == 2


def test_a_report_is_read_without_javascript(open_report: Any, profile: Profile) -> None:
    page = open_report(profile, java_script_enabled=False, color_scheme="dark")
    expect(page.get_by_text("visib alone predicts late")).to_be_visible()
    page.locator("details", has_text="carrier").locator("summary").first.click()
    expect(page.locator("details[open]")).to_contain_text("most frequent")


def test_a_report_runs_nothing_but_its_own(open_report: Any) -> None:
    page = open_report(evil_profile())
    evil_texts(page, ".mlp")
    nothing_ran(page, ".mlp")
    assert page.locator("script").count() == 2
    for place in range(len(EVIL)):
        page.locator(".mlp-columns tbody th button").nth(place).click()
        nothing_ran(page, ".mlp")
    page.evaluate("document.getElementById('static').hidden = false")
    evil_texts(page, "#static")
    nothing_ran(page, "#static")


def test_a_report_says_where_details_are_not_held(open_report: Any) -> None:
    page = open_report(wide())
    page.get_by_label("Filter columns by name").fill("column 4999")
    page.get_by_role("button", name="column 4999").click()
    expect(detail(page)).to_contain_text("holds no details")


CELL = """\
from profiles import flights_profile
from mlops_magics.frontends.widgets import CARDS
card = CARDS.get("Profile")(flights_profile(300))
card"""


@pytest.mark.slow
def test_in_jupyterlab(browser: Browser, lab: Any, violations: Scan) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    try:
        cells = (CELL, "import ipywidgets\nipywidgets.VBox([card])", "card.selected = 'origin'")
        page.goto(lab.notebook("profile.ipynb", *cells))
        run_all(page)
        first, second = (page.locator(".jp-OutputArea .mlp").nth(at) for at in (0, 1))
        second.wait_for(timeout=20_000)
        for one in (first, second):
            expect(one.locator(".mlp-detail")).to_contain_text("EWR", timeout=10_000)
        first.locator(".mlp-columns").get_by_role("button", name="carrier", exact=True).click()
        for one in (first, second):
            expect(one.locator(".mlp-detail [role=heading]")).to_have_text("carrier")
        assert violations(page) == []
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        page.wait_for_timeout(400)
        assert violations(page) == []
        shot(page, "lab_profile")
        page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.restartKernel() }")
        expect(first.locator(".mlp-status")).to_contain_text("The kernel is gone", timeout=15_000)
        kernel_ready(page)
    finally:
        shot(page, "lab_profile_end")
        context.close()
