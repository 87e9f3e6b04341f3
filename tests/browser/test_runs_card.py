"""The runs card in a browser: alone with the kernel's own side behind it, and once in a real JupyterLab."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from many_runs import fill
from places import project_in
from playwright.sync_api import Browser, Locator, Page, expect

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets import CARDS
from mlops_magics.steps.track import track
from mlops_magics.tracking.store import open_store

from .jupyter import command, kernel_ready, run_all, shot

pytestmark = pytest.mark.browser

NewCard = Callable[..., Any]
Scan = Callable[[Page], list[str]]
EVIL = "<img src=x onerror=alert(1)>\u202eevil"


@pytest.fixture(scope="module")
def project_with_runs(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Iterator[Path]:
    """A project whose experiment has 1,000 runs, one of them the champion, one with odd names."""
    with project_in(tmp_path_factory.mktemp("runs")) as folder:
        file = Path(shutil.copy(store_template, folder / "mlflow.db"))
        track("flights")
        store = open_store(Settings.discover())
        ids = fill(file, store.experiment_id("flights"), 1_000, metrics=5, params=8)
        store.client.create_registered_model("flights")
        store.client.create_model_version("flights", "file:///x", ids[-2])
        store.client.set_registered_model_alias("flights", "champion", "1")
        store.client.set_tag(ids[-3], "mlflow.runName", EVIL)
        store.client.log_param(ids[-3], "note", EVIL)
        store.client.log_param(ids[-4], "note", "plain")
        yield folder


@pytest.fixture
def kernel(project_with_runs: Path) -> Any:
    """The card in the kernel; what it sends is kept."""
    assert project_with_runs.is_dir()
    made = CARDS.get("Leaderboard")(track())
    made.sent = []
    made.send = made.sent.append
    return made


@pytest.fixture
def card(new_card: NewCard, kernel: Any) -> Any:
    return opened(new_card, kernel)


def opened(new_card: NewCard, kernel: Any, **options: Any) -> Any:
    """Show the card on the harness page, with its own kernel's side behind it."""
    made = new_card(None, "track", **options)

    def answer(content: dict[str, Any]) -> Any:
        kernel._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        return kernel.sent.pop()

    made.page.expose_function("kernel", answer)
    made.mount(kernel.state)
    return made


def names(page: Page) -> list[str]:
    found: list[str] = page.locator(".mlp-runs tbody .mlp-title-of").all_inner_texts()
    return found


def column(page: Page, name: str) -> list[str]:
    heads = page.locator(".mlp-runs thead tr:nth-child(2) th").all_inner_texts()
    place = [head.strip() for head in heads].index(name)
    cells: list[str] = page.locator(f".mlp-runs tbody tr > :nth-child({place + 1})").all_inner_texts()
    return [re.sub(r"\s*best$", "", text).strip() for text in cells]


def settled(page: Page) -> None:
    expect(page.get_by_role("table", name="Runs")).to_have_attribute("aria-busy", "false")


def head(page: Page, name: str) -> Locator:
    return page.get_by_role("columnheader", name=name, exact=True)


def search(page: Page, text: str) -> None:
    page.get_by_label("Filter runs").fill(text)
    page.get_by_label("Filter runs").press("Enter")
    page.wait_for_timeout(50)
    settled(page)


def test_the_newest_come_first_and_the_champion_is_marked(card: Any) -> None:
    page = card.page
    assert names(page)[0].endswith("-999")
    expect(page.get_by_role("heading", name="Runs of flights")).to_be_visible()
    expect(page.locator(".mlp-title")).to_contain_text("1,000 runs")
    champion = page.locator(".mlp-runs tbody tr", has=page.locator(".mlp-champion"))
    expect(champion).to_have_count(1)
    expect(champion).to_contain_text("-998")
    expect(champion).to_contain_text("flights/1 champion")
    first = page.locator(".mlp-runs time").first
    expect(first).to_have_attribute("title", re.compile("2026"))
    assert re.fullmatch(r"in .+|.+ ago|just now|yesterday|tomorrow", first.inner_text())
    expect(page.locator(".mlp-runs tbody tr").first).to_contain_text("failed")


def test_every_heading_sorts_with_pointer_and_key(card: Any) -> None:
    page = card.page
    for place in range(page.locator(".mlp-runs thead button").count()):
        one = page.locator(".mlp-runs thead tr:nth-child(2) th").nth(place)
        said = []
        one.get_by_role("button").click()
        settled(page)
        said.append(one.get_attribute("aria-sort"))
        one.get_by_role("button").press("Enter")
        page.wait_for_timeout(50)
        settled(page)
        said.append(one.get_attribute("aria-sort"))
        assert set(said) == {"ascending", "descending"}
        expect(one.get_by_role("button")).to_be_focused()
        assert page.locator("[aria-sort=ascending], [aria-sort=descending]").count() == 1


def test_the_best_comes_first_whichever_way_is_better(card: Any) -> None:
    page = card.page
    for metric, most in (("auc", True), ("log_loss", False)):
        head(page, metric).get_by_role("button").click()
        settled(page)
        expect(page.locator(".mlp-runs tbody tr").first.locator(".mlp-best").first).to_be_visible()
        values = [float(text) for text in column(page, metric)[:10]]
        assert values == sorted(values, reverse=most)


def test_a_filter_leaves_what_fits_and_says_what_is_wrong(card: Any) -> None:
    page = card.page
    search(page, "auc>0.7 model=forest")
    assert {name.split("-")[0] for name in names(page)} == {"forest"}
    assert min(float(text) for text in column(page, "auc")) > 0.7
    expect(page.locator(".mlp-title")).to_contain_text(re.compile(r"\d+ of 1,000 runs"))
    before = names(page)
    search(page, "dept>3")
    expect(page.locator(".mlp-wrong")).to_contain_text("Did you mean 'depth'")
    expect(page.get_by_label("Filter runs")).to_have_attribute("aria-invalid", "true")
    assert names(page) == before, "what was there stays"
    search(page, "auc>99")
    expect(page.locator(".mlp-runs tbody")).to_contain_text("No run fits")
    expect(page.locator(".mlp-wrong")).to_be_empty()


def test_a_thousand_rows_are_scrolled_by_keys(card: Any) -> None:
    page = card.page
    page.locator(".mlp-runs tbody input").first.focus()
    page.keyboard.press("End")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(r"-0$"))
    assert page.locator(".mlp-runs tbody tr").count() < 80, "only rows in view are in the page"
    assert page.locator("tr", has=page.locator(":focus")).get_attribute("aria-rowindex") == "1002"
    page.keyboard.press("Home")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(r"-999$"))
    page.keyboard.press("PageDown")
    page.keyboard.press("Space")
    expect(page.locator(":focus")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).not_to_be_checked()


def test_rows_far_away_are_asked_for_once(card: Any) -> None:
    page = card.page
    page.locator(".mlp-window").evaluate("(box) => { box.scrollTop = 600 * 27 }")
    expect(page.locator("tbody tr[aria-rowindex='610']")).to_contain_text("-392")
    firsts = [one["first"] for one in card.sent if one["ask"] == "rows"]
    assert len(firsts) == len(set(firsts))
    assert set(firsts) <= {500, 600}


def test_two_runs_are_compared(card: Any, kernel: Any) -> None:
    page = card.page
    compare = page.get_by_role("button", name=re.compile("^Compare"))
    expect(compare).to_have_attribute("aria-disabled", "true")
    compare.press("Enter")
    expect(page.locator(".mlp-status")).to_contain_text("Select two runs")
    rows = page.locator(".mlp-runs tbody tr")
    for place in (1, 2, 4):  # of three the first is let go
        rows.nth(place).click()
    expect(rows.nth(1).locator("input")).not_to_be_checked()
    expect(rows.nth(4).locator("input")).to_be_checked()
    compare.click()
    shown = page.get_by_role("group", name="Two runs compared")
    expect(shown.get_by_role("table", name="metric")).to_contain_text("auc")
    expect(shown).to_be_focused()
    assert len(kernel.selected) == 2
    assert kernel.result.run_ids == tuple(kernel.selected)
    shown.get_by_role("button", name="Close").click()
    expect(shown).to_be_hidden()
    expect(compare).to_be_focused()


def test_ids_and_code_are_copied(new_card: NewCard, kernel: Any) -> None:
    page = opened(new_card, kernel, permissions=["clipboard-read", "clipboard-write"]).page

    def pasted() -> str:
        box = page.get_by_label("Filter runs")
        before = box.input_value()
        box.fill("")
        box.press("Control+v")
        found: str = box.input_value()
        box.fill(before)
        return found

    search(page, "model=forest")
    head(page, "auc").get_by_role("button").click()
    settled(page)
    page.get_by_role("button", name="Copy as code").click()
    expect(page.locator(".mlp-status")).to_contain_text("Copied")
    assert pasted() == "%mlops_track --best auc --where model=forest"
    settled(page)
    page.locator(".mlp-runs tbody tr").first.click()
    page.get_by_role("button", name="Copy id").click()
    expect(page.locator(".mlp-status")).to_contain_text("1 run id")
    assert pasted() == kernel.selected[0]
    page.locator(".mlp-runs tbody tr").nth(1).click()
    page.wait_for_timeout(100)
    page.get_by_role("button", name="Copy as code").click()
    assert pasted() == f"%mlops_track --compare {','.join(kernel.selected)}"


def test_columns_are_chosen(card: Any) -> None:
    page = card.page
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="fixed_01").check()
    page.get_by_role("checkbox", name="auc").uncheck()
    settled(page)
    expect(head(page, "fixed_01")).to_be_visible()
    expect(head(page, "auc")).to_have_count(0)
    assert set(column(page, "fixed_01")) == {"as ever"}
    expect(head(page, "fixed_01")).to_have_class(re.compile("mlp-same"))
    page.get_by_label("Find a column").fill("depth")
    expect(page.get_by_role("checkbox", name="fixed_01")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("summary", has_text="Columns")).to_be_focused()


def drag(page: Page, axis: int, start: float, end: float) -> None:
    """Draw a range on an axis, from and to a part of its height."""
    box = page.locator(".mlp-axis-line").nth(axis).bounding_box()
    assert box
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + box["height"] * (1 - start))
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * (1 - end), steps=4)
    page.mouse.up()
    page.wait_for_timeout(80)
    settled(page)


def test_a_range_on_an_axis_filters_the_table(card: Any) -> None:
    page = card.page
    page.locator(".mlp-hue").first.wait_for(state="attached")
    axes = page.locator(".mlp-axis-title").all_text_contents()
    assert page.locator(".mlp-hue").count() == 500, "of more runs some are drawn"
    assert "1,000 runs, 500 of them drawn" in page.locator(".mlp-coordinates > p").inner_text()
    depth = next(at for at, text in enumerate(axes) if text.startswith("depth"))
    drag(page, depth, 0.55, 1.0)
    expect(page.get_by_role("button", name="Take away the range of depth")).to_be_visible()
    depths = {int(text) for text in column(page, "depth")}
    assert depths
    assert min(depths) >= 7
    assert 0 < page.locator(".mlp-out").count() < 500
    model = next(at for at, text in enumerate(axes) if text.startswith("model"))
    drag(page, model, 0.2, 0.5)
    assert {name.split("-")[0] for name in names(page)} == {"forest"}
    asked = [one for one in card.sent if one["ask"] == "rows"][-1]
    assert "params.model=forest" in asked["brush"]
    page.get_by_role("button", name="Take away the range of depth").click()
    settled(page)
    assert min(int(text) for text in column(page, "depth")) < 7
    page.get_by_role("button", name="Parallel coordinates").click()
    settled(page)
    expect(page.locator(".mlp-title")).to_contain_text(re.compile(r"\d 000|1,000 runs"))


def test_a_range_is_set_by_keys(card: Any) -> None:
    page = card.page
    slider = page.get_by_role("slider", name="Least of depth")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    page.wait_for_timeout(80)
    settled(page)
    expect(page.get_by_role("slider", name="Least of depth")).to_be_focused()
    expect(page.locator(":focus")).to_have_attribute("aria-valuetext", "7")
    assert min(int(text) for text in column(page, "depth")) == 7
    page.keyboard.press("Home")
    page.wait_for_timeout(80)
    settled(page)
    assert page.locator(".mlp-chip").count() == 0


def test_the_lines_have_a_text_alternative(card: Any) -> None:
    page = card.page
    expect(page.locator(".mlp-coordinates > p")).to_contain_text("Rank correlation with auc: ")
    page.get_by_text("The axes as a table").click()
    table = page.get_by_role("table", name="Axes")
    expect(table.get_by_role("row", name=re.compile("^model"))).to_contain_text("boosting, forest")
    expect(table.get_by_role("row", name=re.compile("^log_loss"))).to_contain_text("\u2212")
    page.get_by_label("Colour by").select_option("log_loss")
    expect(page.locator(".mlp-coordinates > p")).to_contain_text("Rank correlation with log_loss")


def test_what_runs_hold_is_text(card: Any) -> None:
    page = card.page
    search(page, "onerror")
    assert len(names(page)) == 1
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="note").check()
    page.keyboard.press("Escape")
    settled(page)
    page.locator(".mlp-runs tbody tr").first.click()
    page.get_by_label("Filter runs").fill("")
    page.get_by_label("Filter runs").press("Enter")
    page.wait_for_timeout(100)
    page.locator(".mlp-runs tbody tr").nth(1).click()
    page.get_by_role("button", name=re.compile("^Compare")).click()
    expect(page.get_by_role("group", name="Two runs compared")).to_contain_text(
        "<img src=x onerror=alert(1)>"
    )
    page.wait_for_timeout(100)
    assert page.locator(".mlp :is(img, script, iframe)").count() == 0
    assert page.locator(".mlp [onerror]").count() == 0


def test_a_lost_kernel_leaves_what_is_there(card: Any) -> None:
    page = card.page
    before = names(page)
    page.evaluate("disconnect()")
    expect(page.locator(".mlp-status")).to_contain_text("The kernel is gone")
    head(page, "auc").get_by_role("button").click()
    search(page, "forest")
    assert names(page) == before


def test_a_late_answer_is_not_shown(card: Any) -> None:
    page = card.page
    page.evaluate(
        "() => { const real = window.kernel; window.kernel = (question) => real(question).then((answer) =>"
        " new Promise((done) => setTimeout(() => done(answer), question.filter === 'linear' ? 400 : 5))) }"
    )
    page.get_by_label("Filter runs").fill("linear")
    page.get_by_label("Filter runs").press("Enter")
    page.get_by_label("Filter runs").fill("forest")
    page.get_by_label("Filter runs").press("Enter")
    page.wait_for_timeout(700)
    assert {name.split("-")[0] for name in names(page)} == {"forest"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(new_card: NewCard, kernel: Any, violations: Scan, scheme: str) -> None:
    page = opened(new_card, kernel, color_scheme=scheme, reduced_motion="reduce").page
    page.locator(".mlp-hue").first.wait_for(state="attached")
    drag(page, 0, 0.4, 1.0)
    for place in (1, 2):
        page.locator(".mlp-runs tbody tr").nth(place).click()
    page.get_by_role("button", name=re.compile("^Compare")).click()
    page.get_by_role("group", name="Two runs compared").get_by_role("table").first.wait_for()
    page.locator("summary", has_text="Columns").click()
    assert violations(page) == []
    search(page, "auc>")
    assert violations(page) == []
    assert (
        page.locator(".mlp-hue").first.evaluate("(line) => getComputedStyle(line).transitionDuration") == "0s"
    )


def test_a_narrow_page_needs_no_sideways_scrolling(new_card: NewCard, kernel: Any) -> None:
    page = opened(new_card, kernel, forced_colors="active").page
    page.set_viewport_size({"width": 340, "height": 900})
    page.locator("summary", has_text="Columns").click()
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 340


def test_the_kernel_may_select(card: Any) -> None:
    page = card.page
    page.evaluate("() => { model.selected = [model.state.answer.rows[2][0]]; model.fire('change:selected') }")
    expect(page.locator(".mlp-runs tbody tr").nth(2).locator("input")).to_be_checked()


def test_cleaning_up_leaves_nothing(card: Any) -> None:
    assert card.page.evaluate("model.listening()") > 0
    card.page.evaluate("clean()")
    assert card.page.evaluate("model.listening()") == 0
    assert card.page.locator(".mlp").count() == 0


@pytest.mark.slow
def test_in_jupyterlab(browser: Browser, lab: Any, violations: Scan, project_with_runs: Path) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 1100})
    page = context.new_page()
    store = f"sqlite:///{project_with_runs}/mlflow.db"
    begin = f"%load_ext mlops_magics\n%mlops --store {store}\n%mlops_track flights"
    try:
        page.goto(
            lab.notebook(
                "runs.ipynb",
                begin,
                "%mlops_track --best auc -o board",
                "board.selected = [board.rows[1].run_id]",
            )
        )
        run_all(page)
        page.locator(".mlp-runs tbody tr").first.wait_for(timeout=40_000)
        expect(page.locator(".mlp-runs tbody tr").nth(1).locator("input")).to_be_checked(timeout=10_000)
        values = [float(text) for text in column(page, "auc")[:10]]
        assert values == sorted(values, reverse=True)
        search(page, "model=forest")
        assert {name.split("-")[0] for name in names(page)} == {"forest"}
        page.locator(".mlp-runs tbody input").first.focus()
        page.keyboard.press("ArrowDown")  # no command of the notebook's
        expect(page.locator(":focus")).to_have_attribute("type", "checkbox")
        assert violations(page) == []
        shot(page, "lab_runs")
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        page.wait_for_timeout(400)
        assert violations(page) == []
        shot(page, "lab_runs_dark")
        page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.restartKernel() }")
        expect(page.locator(".mlp-track .mlp-status")).to_contain_text("The kernel is gone", timeout=15_000)
        kernel_ready(page)
    finally:
        shot(page, "lab_runs_end")
        context.close()
