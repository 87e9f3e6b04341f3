"""The promotion card in a browser: alone with a fake kernel, and once in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Locator, Page, expect

from .jupyter import command, kernel_ready, run_all, shot
from .states import empty, failing, many, no_right, ready, reviewing

pytestmark = pytest.mark.browser

NewCard = Callable[..., Any]
Scan = Callable[[Page], list[str]]

EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
PROMOTED = """(request, state) => ({
  message: { tone: "good", what: `v${request.version} is ${request.alias} now.`, remedy: "Deploy it." },
  holders: { ...state.holders, [request.alias]: request.version },
})"""
# Both keys in one go: on a busy machine two presses may be further apart than a person's.
RUN_DOWN = """() => {
  for (const key of ["ArrowDown", "End"]) {
    const press = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    document.activeElement.dispatchEvent(press);
  }
}"""
LOOKED = "(request) => ({ selected: request.version, to: request.alias, message: null })"


FOUND = """(request, state) => ({ details: {
  version: request.version, alias: request.alias, holder: state.holders[request.alias] ?? "", blocks: [
    { kind: "title", text: "churn/3, beside churn/2", note: "all 3 gates pass" },
    { kind: "table", headings: ["metric", "difference", "95 % interval"], gate: "quality",
      rows: [["auc", 0.0181, "0.0181 (0.0074 to 0.0288)"]] },
    { kind: "code", lines: ["--- v2", "+++ v3", "-depth = 3", "+depth = 4"] },
    { kind: "facts", pairs: [["commit", "1a2b and 3c4d"]] },
    { kind: "note", text: `<img src=x onerror="window.hacked=1">` },
  ], gates: {
    quality: [{ kind: "facts", pairs: [["value", "0.9124"], ["on", "2,000 rows, left predicted"]] }],
    latency: [{ kind: "facts", pairs: [["value", "11.2 ms"], ["bound", "50 ms"]] }],
  } } })"""


def confirm(page: Page) -> Locator:
    return page.get_by_role("button", name="Promote v")


def row(page: Page | Locator, **which: Any) -> Locator:
    return page.get_by_role("listbox", name="Versions").get_by_role("option", **which)


def reason(page: Page) -> Locator:
    return page.get_by_label("Reason")


def test_a_reason_is_asked_for_and_sent_once(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    expect(page.get_by_text("champion is v2 now")).to_be_visible()
    expect(confirm(page)).to_be_disabled()
    expect(page.get_by_text("Write a reason.")).to_be_visible()
    reason(page).fill("Better on every metric that counts")
    expect(confirm(page)).to_be_enabled()
    confirm(page).dblclick()
    assert [(one["do"], one["version"], one["alias"], one["reason"]) for one in card.sent] == [
        ("promote", "3", "champion", "Better on every metric that counts")
    ]
    expect(confirm(page)).to_be_disabled()
    expect(page.get_by_text("Promoting…")).to_be_visible()


def test_an_answer_is_announced_and_clears_the_reason_but_keeps_the_focus(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    card.answer(PROMOTED)
    reason(page).fill("Better")
    confirm(page).click()
    expect(page.get_by_role("status")).to_contain_text("v3 is champion now.")
    expect(reason(page)).to_have_value("")
    expect(confirm(page)).to_be_focused()
    expect(page.get_by_text("v3 holds champion already.")).to_be_visible()


def test_a_refusal_keeps_the_reason(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    card.answer("() => ({ message: { tone: 'bad', what: 'Gate quality failed.', remedy: 'Retrain.' } })")
    reason(page).fill("Typed with care")
    confirm(page).click()
    expect(page.get_by_role("status")).to_contain_text("Gate quality failed.")
    expect(page.get_by_role("status")).to_contain_text("Retrain.")
    expect(reason(page)).to_have_value("Typed with care")
    expect(confirm(page)).to_be_enabled()


def test_the_keyboard_reaches_everything(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    card.answer(LOOKED)
    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.role ?? document.activeElement.tagName"))
    gates = ["BUTTON"] * 4
    assert reached == ["BUTTON", "option", *gates, "SELECT", "TEXTAREA", "BUTTON", "BUTTON", "SUMMARY"]
    row(page, selected=True).focus()
    page.evaluate(RUN_DOWN)
    option = row(page, name="v1")
    expect(option).to_be_focused()
    expect(option).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("v1 → champion").first).to_be_visible()
    page.wait_for_function("model.state.selected === '1'")
    expect(option).to_be_focused()
    assert [one["version"] for one in card.sent] == ["1"], "running through the list asks once"


def test_enter_confirms_and_shift_enter_does_not(new_card: NewCard) -> None:
    card = new_card(ready())
    reason(card.page).press_sequentially("One")
    reason(card.page).press("Shift+Enter")
    reason(card.page).press_sequentially("two")
    assert card.sent == []
    reason(card.page).press("Enter")
    assert [one["reason"] for one in card.sent] == ["One\ntwo"]


def test_nothing_is_confirmed_before_the_version_is_shown(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    reason(page).fill("Hurry")
    row(page, name="v1").click()
    expect(confirm(page)).to_be_disabled()
    expect(page.get_by_text("Looking at v1…")).to_be_visible()
    card.page.wait_for_function("model.sent.length === 1")
    page.evaluate("model.push({ selected: '1', click: model.sent[0].click })")
    expect(confirm(page)).to_be_enabled()


def test_typing_survives_a_new_state(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    reason(page).press_sequentially("Half a sen")
    card.push(holders={"champion": "1"}, compare=[], gates=[], history=[])
    page.keyboard.type("tence")
    expect(reason(page)).to_have_value("Half a sentence")
    expect(reason(page)).to_be_focused()
    expect(page.get_by_text("champion is v1 now")).to_be_visible()


def test_rolling_back_takes_two_steps(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    page.get_by_role("button", name="Roll back…").click()
    sure = page.get_by_role("button", name="Yes, take champion back from v2")
    expect(sure).to_be_disabled()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Roll back…")).to_be_focused()
    reason(page).fill("Complaints since noon")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(sure).to_be_focused()
    expect(confirm(page)).to_be_hidden()
    reason(page).press("Enter")
    assert card.sent == [], "Enter in the reason only goes to the button"
    expect(sure).to_be_focused()
    page.keyboard.press("Enter")
    assert [(one["do"], one["alias"], one["reason"]) for one in card.sent] == [
        ("roll_back", "champion", "Complaints since noon")
    ]


def test_a_closed_gate_is_named_beside_the_button(new_card: NewCard) -> None:
    page = new_card(failing()).page
    reason(page).fill("Please")
    expect(confirm(page)).to_be_disabled()
    assert confirm(page).get_attribute("aria-describedby") == page.locator(".mlp-hint").get_attribute("id")
    expect(page.locator(".mlp-hint")).to_have_text("Gate quality: auc 0.8312 is below 0.85.")


def test_who_may_only_read_is_told_so(new_card: NewCard) -> None:
    page = new_card(no_right()).page
    reason(page).fill("Please")
    expect(confirm(page)).to_be_disabled()
    expect(page.locator(".mlp-hint")).to_contain_text("ask a manager of the model")
    expect(page.get_by_role("button", name="Roll back…")).to_be_hidden()


def test_another_alias_is_another_question(new_card: NewCard) -> None:
    card = new_card(failing())
    expect(confirm(card.page)).to_be_disabled()
    may = "can: { promote: true, roll_back: false }, why_not: ''"
    card.answer(f"(request) => ({{ to: request.alias, gates: [], {may} }})")
    card.page.get_by_label("Alias", exact=True).select_option("challenger")
    expect(card.page.get_by_text("nothing holds challenger yet")).to_be_visible()
    expect(card.page.get_by_role("button", name="Roll back…")).to_be_hidden()
    reason(card.page).fill("Watch it in the shadow first")
    card.page.get_by_role("button", name="to challenger").click()
    assert [(one["do"], one["alias"]) for one in card.sent] == [
        ("select", "challenger"),
        ("promote", "challenger"),
    ]


def test_what_the_evaluation_found_is_read_when_it_is_opened(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    summary = page.get_by_text("What the evaluation of v3 found, and what differs from v2")
    assert card.sent == []
    card.answer(FOUND)
    summary.click()
    expect(page.get_by_role("cell", name="0.0074 to 0.0288")).to_be_visible()
    expect(page.get_by_text("+depth = 4")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert [(one["do"], one["version"], one["alias"]) for one in card.sent] == [("details", "3", "champion")]
    # Another version is another question: it stays open, and is read anew.
    card.answer(
        f"(request, state) => request.do === 'details' ? ({FOUND})(request, state) : ({LOOKED})(request)"
    )
    row(page).nth(2).click()
    expect(page.get_by_text("What the evaluation of v1 found, and what differs from v2")).to_be_visible()
    expect(page.get_by_text("+depth = 4")).to_be_visible()
    assert [one["do"] for one in card.sent] == ["details", "select", "details"]
    row(page).nth(1).click()
    expect(page.get_by_text("What the evaluation of v2 found", exact=True)).to_be_visible()


def gate(page: Page, name: str) -> Locator:
    return page.get_by_role("table", name="Gates").get_by_role("button", name=name)


def test_each_gate_opens_by_itself_to_what_it_saw(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    card.answer(FOUND)
    opened = page.locator(".mlp-opened:visible")
    expect(gate(page, "quality : pass")).to_have_attribute("aria-expanded", "false")
    expect(opened).to_have_count(0)
    gate(page, "quality").focus()
    page.keyboard.press("Enter")
    expect(opened).to_contain_text("2,000 rows, left predicted")
    expect(opened).to_contain_text("0.0181 (0.0074 to 0.0288)")
    expect(opened).not_to_contain_text("11.2 ms")
    expect(gate(page, "quality")).to_have_attribute("aria-expanded", "true")
    expect(gate(page, "quality")).to_be_focused()
    assert gate(page, "quality").get_attribute("aria-controls") == opened.get_attribute("id")
    assert [(one["do"], one["version"], one["alias"]) for one in card.sent] == [("details", "3", "champion")]
    gate(page, "latency").click()
    expect(opened).to_have_count(2)
    expect(opened.last).to_contain_text("50 ms")
    gate(page, "fairness : not applicable").click()
    expect(opened.last).to_contain_text("Nothing more is kept of it.")
    assert len(card.sent) == 1, "one answer holds them all"
    gate(page, "quality").focus()
    page.keyboard.press("Space")
    expect(opened).to_have_count(2)
    assert page.evaluate("window.hacked") is None


def test_an_open_gate_stays_open_and_keeps_the_focus_over_a_new_verdict(new_card: NewCard) -> None:
    card = new_card(ready())
    page = card.page
    card.answer(FOUND)
    gate(page, "quality").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".mlp-opened:visible")).to_contain_text("0.0181")
    card.push(gates=failing()["gates"], holders={"champion": "1"})
    expect(gate(page, "quality : fail")).to_be_focused()
    expect(page.locator(".mlp-opened:visible")).to_contain_text("0.0181")
    assert [one["do"] for one in card.sent] == ["details", "details"], "it is read anew"
    page.evaluate("disconnect()")
    card.push(details=None)
    expect(page.locator(".mlp-opened:visible")).to_contain_text("The kernel is gone.")
    gate(page, "quality").click()
    expect(page.locator(".mlp-opened:visible")).to_have_count(0)


def test_an_evaluation_that_cannot_be_read_is_asked_for_once(new_card: NewCard) -> None:
    card = new_card(ready())
    card.answer("() => ({ message: { tone: 'bad', what: 'The store is away.', remedy: 'Wait.' } })")
    summary = card.page.get_by_text("What the evaluation of v3 found")
    summary.click()
    expect(card.page.get_by_role("status")).to_contain_text("The store is away.")
    assert [one["do"] for one in card.sent] == ["details"]
    card.answer(FOUND)
    summary.click()
    summary.click()
    expect(card.page.get_by_text("+depth = 4")).to_be_visible()
    assert [one["do"] for one in card.sent] == ["details", "details"]


def test_an_approver_says_so_with_a_reason(new_card: NewCard) -> None:
    asked = failing() | {"can": {"promote": False, "roll_back": False, "approve": True}}
    card = new_card(asked)
    page = card.page
    approve, back = (page.get_by_role("button", name=name) for name in ("Approve v3", "Send v3 back"))
    expect(approve).to_be_disabled()
    approve.click(force=True)
    expect(reason(page)).to_be_focused()
    reason(page).fill("Looked at Newark myself")
    card.answer("() => ({ message: { tone: 'good', what: 'You approve of version 3.', remedy: '' } })")
    approve.click()
    expect(page.get_by_role("status")).to_contain_text("You approve of version 3.")
    expect(reason(page)).to_have_value("")
    reason(page).fill("Too few rows in winter")
    back.click()
    assert [(one["do"], one["version"], one["reason"]) for one in card.sent] == [
        ("approve", "3", "Looked at Newark myself"),
        ("reject", "3", "Too few rows in winter"),
    ]
    card.push(can={"promote": False, "roll_back": False, "approve": False})
    expect(approve).to_be_hidden()


def test_a_comment_takes_words(new_card: NewCard) -> None:
    card = new_card(failing() | {"can": {"promote": False, "roll_back": False, "comment": True}})
    comment = card.page.get_by_role("button", name="Comment")
    expect(comment).to_be_disabled()
    reason(card.page).fill("Ann, please look at Newark")
    comment.click()
    assert [(one["do"], one["reason"]) for one in card.sent] == [("comment", "Ann, please look at Newark")]


def test_it_looks_whether_the_registry_changed_elsewhere(new_card: NewCard) -> None:
    card = new_card()
    page = card.page
    page.clock.install()
    card.mount(ready())
    reason(page).fill("half a thought")
    page.clock.run_for(60_000)
    assert [one["do"] for one in card.sent] == ["watch"], "a look that is not answered is not repeated"
    assert [one["alias"] for one in card.sent] == ["champion"]
    card.push(click=card.sent[0]["click"], holders={"champion": "3"})
    expect(page.get_by_text("champion is v3 now")).to_be_visible()
    expect(reason(page)).to_have_value("half a thought")
    page.clock.run_for(20_000)
    assert len(card.sent) == 2
    card.push(click=card.sent[1]["click"])
    page.evaluate("document.querySelector('main').style.marginTop = '5000px'")
    page.clock.run_for(60_000)
    assert len(card.sent) == 2, "nobody sees it"


def test_noise_is_called_noise(new_card: NewCard) -> None:
    even = {"metric": "auc", "candidate": 0.9124, "champion": 0.9119, "better": None, "noise": True}
    page = new_card(ready(compare=[even])).page
    expect(page.get_by_text("+0.0005 inside the noise")).to_be_visible()


@pytest.mark.parametrize("how", ["disconnect()", "model.answer = 'broken'"])
def test_a_lost_kernel_closes_the_card(new_card: NewCard, how: str) -> None:
    card = new_card(ready())
    page = card.page
    reason(page).fill("Kept for copying")
    page.evaluate(f"() => {{ {how} }}")
    confirm(page).click(force=True)
    expect(page.get_by_role("status")).to_have_text("The kernel is gone; run the cell again.")
    expect(reason(page)).to_be_disabled()
    expect(page.get_by_label("Alias", exact=True)).to_be_disabled()
    expect(confirm(page)).to_be_disabled()
    assert card.sent == []


def test_what_a_store_holds_is_text(new_card: NewCard) -> None:
    state = ready(model=EVIL, aliases=[EVIL], to=EVIL, holders={EVIL: "2"}, why_not=EVIL)
    state["versions"][0] |= {
        "aliases": [EVIL],
        "run": EVIL,
        "made": EVIL,
        "metrics": {EVIL: 1},
        "format": EVIL,
    }
    state["compare"] = [{"metric": EVIL, "candidate": EVIL, "champion": EVIL, "better": True}]
    state["gates"] = [{"name": EVIL, "verdict": EVIL, "value": EVIL, "threshold": EVIL, "evidence": EVIL}]
    state["history"] = [{"when": EVIL, "who": EVIL, "what": EVIL, "reason": EVIL}]
    state["message"] = {"tone": EVIL, "what": EVIL, "remedy": EVIL}
    page = new_card(state).page
    expect(page.locator(".mlp-name")).to_have_text(EVIL)
    page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".mlp :is(img, script)").count() == 0
    assert page.locator(".mlp").inner_text().count("onerror") > 10


@pytest.mark.alone
def test_many_versions_paint_at_once(new_card: NewCard) -> None:
    card = new_card()
    state = many(500)
    page = card.page
    took = []
    for _ in range(3):  # the best of three: what else the machine does is not ours
        page.evaluate("window.clean?.()")
        took.append(page.evaluate("(state) => timed(state)", state))
    assert min(took) < 500
    assert row(page).count() == 60
    page.get_by_role("button", name="Show more").click()
    assert row(page).count() == 260
    page.get_by_label("Filter versions").fill("champion")
    expect(row(page, name="v2")).to_be_visible()
    page.get_by_label("Filter versions").fill("no such")
    expect(page.get_by_text("None of 500 versions matches.")).to_be_visible()


def test_cleaning_up_leaves_nothing(new_card: NewCard) -> None:
    page = new_card(ready()).page
    assert page.evaluate("model.listening()") > 0
    page.evaluate("clean()")
    assert page.evaluate("model.listening()") == 0
    assert page.locator(".mlp").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", [ready(), failing(), empty(), {}], ids=["ready", "failing", "empty", "loading"]
)
def test_the_card_is_accessible(new_card: NewCard, violations: Scan, scheme: str, state: object) -> None:
    card = new_card(state, color_scheme=scheme)
    assert violations(card.page) == []
    if state == ready():
        reason(card.page).fill("Better")
        card.answer(FOUND)
        gate(card.page, "quality").click()
        card.page.locator("details").evaluate_all("(all) => all.forEach((one) => { one.open = true })")
        expect(card.page.get_by_text("0.0181 (0.0074 to 0.0288)")).to_have_count(2)
        card.push(message={"tone": "bad", "what": "It failed.", "remedy": "Try again."})
        assert violations(card.page) == []
        card.page.evaluate("disconnect()")
        assert violations(card.page) == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_what_reviewers_are_shown_is_accessible(new_card: NewCard, violations: Scan, scheme: str) -> None:
    """Approve, send back and comment: closed for want of a reason, open, under way, and answered."""
    card = new_card(reviewing(), color_scheme=scheme)
    page = card.page
    for name in ("Approve v3", "Send v3 back", "Comment"):
        expect(page.get_by_role("button", name=name)).to_be_visible()
    assert violations(page) == []
    reason(page).fill("Looked at Newark myself")
    shot(page, f"approve_{scheme}")
    assert violations(page) == []
    page.get_by_role("button", name="Approve v3").click()
    expect(page.get_by_text("Writing it down…")).to_be_visible()
    assert violations(page) == []
    said = {"tone": "good", "what": "You approve of version 3.", "remedy": "2 of 2 approvals."}
    card.push(click=card.sent[0]["click"], message=said)
    expect(page.get_by_role("status")).to_contain_text("2 of 2 approvals.")
    assert violations(page) == []
    card.push(can=reviewing()["can"] | {"promote": True, "roll_back": True})
    expect(confirm(page)).to_be_visible()
    assert violations(page) == []
    shot(page, f"approved_{scheme}")


def test_a_narrow_page_needs_no_sideways_scrolling(new_card: NewCard) -> None:
    card = new_card(reviewing())
    page = card.page
    card.answer(FOUND)
    gate(page, "quality").click()
    expect(page.locator(".mlp-opened:visible")).to_contain_text("2,000 rows")
    page.set_viewport_size({"width": 320, "height": 900})
    shot(page, "narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for part in page.locator(".mlp *:visible").all():
        box = part.bounding_box()
        if box and box["width"] > 1:
            assert box["x"] + box["width"] <= 320, part.evaluate("(element) => element.outerHTML")[:200]


CELL = """\
from memory_desk import MemoryDesk, Review
from mlops_magics.frontends.widgets.promote import PromotionCard
card = PromotionCard(Review(), MemoryDesk())
card"""


def test_in_jupyterlab(browser: Browser, lab: Any, violations: Scan) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    try:
        page.goto(lab.notebook("promote.ipynb", CELL, "import ipywidgets\nipywidgets.VBox([card])"))
        run_all(page)
        first, second = (page.locator(".jp-OutputArea .mlp").nth(at) for at in (0, 1))
        first.wait_for(timeout=20_000)
        second.wait_for()
        first.get_by_label("Reason").fill("a forbidden wish")
        first.get_by_label("Reason").press("Enter")
        expect(first.get_by_role("status")).to_contain_text("asks for a second approval")
        first.get_by_label("Reason").fill("crash")
        first.get_by_label("Reason").press("Enter")
        expect(first.get_by_role("status")).to_contain_text("Something went wrong in the kernel.")
        assert "secret" not in first.inner_text()
        first.get_by_label("Reason").fill("Better on the test set")
        first.get_by_role("button", name="Promote v3 to champion").click()
        expect(first.get_by_role("status")).to_contain_text("v3 is champion now.")
        expect(second.get_by_role("status")).to_contain_text("v3 is champion now.")
        _keys_stay_in_the_card(page, first)
        _roll_back(first)
        assert violations(page) == []
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
        page.wait_for_timeout(400)
        assert violations(page) == []
        shot(page, "lab_dark")
        _lose_the_kernel(page, first)
    finally:
        shot(page, "lab_end")
        context.close()


def _keys_stay_in_the_card(page: Page, card: Locator) -> None:
    """Arrow keys and letters mean something to the notebook too: it must not hear them."""
    cells = page.locator(".jp-Cell").count()
    row(card, selected=True).focus()
    page.keyboard.press("ArrowUp")
    expect(row(card, name="v4")).to_be_focused()
    expect(card.locator(".mlp-hint")).to_have_text("Gate quality: auc 0.702 is below 0.85.")
    page.keyboard.press("b")
    page.keyboard.press("ArrowDown")
    expect(row(card, name="v3")).to_be_focused()
    assert page.locator(".jp-Cell").count() == cells
    page.keyboard.press("Control+s")  # with a modifier a key is the notebook's own
    expect(page.locator(".jp-mod-current.jp-mod-dirty")).to_have_count(0)


def _roll_back(card: Locator) -> None:
    card.get_by_label("Reason").fill("Complaints since noon")
    card.get_by_role("button", name="Roll back…").click()
    card.get_by_role("button", name="Yes, take champion back from v3").click()
    expect(card.get_by_role("status")).to_contain_text("champion is v2 again.")
    card.get_by_text("History (").click()
    expect(card.get_by_role("table", name="History")).to_contain_text("Complaints since noon")


def _lose_the_kernel(page: Page, card: Locator) -> None:
    page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.restartKernel() }")
    expect(card.get_by_role("status")).to_have_text("The kernel is gone; run the cell again.", timeout=15_000)
    expect(card.get_by_label("Reason")).to_be_disabled()
    kernel_ready(page)
