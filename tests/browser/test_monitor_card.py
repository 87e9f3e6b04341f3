"""The monitor card in a browser, with the kernel's own side behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("playwright")
from monitorings import drifting
from playwright.sync_api import Page, expect

from mlops_magics.frontends.widgets import CARDS

pytestmark = pytest.mark.browser

NewCard = Callable[..., Any]
Scan = Callable[[Page], list[str]]


def opened(new_card: NewCard, **options: Any) -> Any:
    """Show the card on the harness page, with its own kernel's side behind it."""
    kernel = CARDS.get("Monitoring")(drifting())
    sent: list[Any] = []
    kernel.send = sent.append  # type: ignore[attr-defined]
    made = new_card(None, "monitor", **options)

    def answer(content: dict[str, Any]) -> Any:
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        kernel._handle_msg(message)  # type: ignore[attr-defined]
        return sent.pop()

    made.page.expose_function("kernel", answer)
    made.mount(kernel.state)  # type: ignore[attr-defined]
    expect(made.page.get_by_role("img")).to_be_visible()
    return made


def test_the_alert_comes_first_with_what_explains_it(new_card: NewCard) -> None:
    page = opened(new_card).page
    expect(page.get_by_role("heading", name="Monitor churn")).to_be_visible()
    alert = page.get_by_role("list", name="Alerts").get_by_role("listitem").first
    expect(alert).to_contain_text("town")
    expect(alert).to_contain_text("Cairo")
    expect(alert).to_contain_text("Suspected: new category")
    expect(page.get_by_role("table", name="Shares of the rows")).to_contain_text("Cairo")


def test_keys_alone_choose_a_window_a_column_and_a_comparison(new_card: NewCard) -> None:
    page = opened(new_card).page
    expect(page.locator(".mlp-course.mlp-alarmed")).to_have_count(2)
    window = page.get_by_role("slider")
    window.focus()
    window.press("Home")
    expect(page.locator(".mlp-course").first).to_have_class("mlp-course mlp-here")
    expect(page.get_by_role("table", name="Shares of the rows")).not_to_contain_text("Cairo")
    window.press("End")
    page.get_by_label("Compared with").select_option("4")
    cairo = page.get_by_role("row", name="Cairo")
    expect(cairo.get_by_role("cell").nth(0)).to_contain_text("50")
    expect(cairo.get_by_role("cell").nth(1)).to_contain_text("50")
    age = page.get_by_role("button", name="age")
    age.press("Enter")
    expect(age).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("heading", name="age")).to_be_visible()


def test_a_click_on_the_axis_chooses_that_window(new_card: NewCard) -> None:
    page = opened(new_card).page
    page.locator(".mlp-course").nth(1).click()
    expect(page.locator(".mlp-course").nth(1)).to_have_class("mlp-course mlp-here")
    expect(page.get_by_role("slider")).to_have_value("1")


def test_of_one_window_there_is_nothing_to_choose(new_card: NewCard) -> None:
    card = opened(new_card)
    expect(card.page.get_by_text("How far town lies from the rows it was fitted on")).to_be_visible()
    expect(card.page.get_by_role("slider")).to_be_visible()
    card.push(windows=["all rows"])
    expect(card.page.get_by_role("slider")).to_have_count(0)
    expect(card.page.get_by_role("table", name="Shares of the rows")).to_be_visible()


def test_names_are_text_and_nothing_leaves_the_page(new_card: NewCard) -> None:
    card = opened(new_card)
    assert card.page.locator(".mlp b").count() == 0
    expect(card.page.get_by_role("button", name="<b>x</b>")).to_be_visible()
    assert (card.outside, card.errors) == ([], [])


def test_a_kernel_that_is_gone_is_said(new_card: NewCard) -> None:
    page = opened(new_card).page
    page.evaluate("disconnect()")
    expect(page.get_by_role("status")).to_contain_text("The kernel is gone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(new_card: NewCard, violations: Scan, scheme: str) -> None:
    assert violations(opened(new_card, color_scheme=scheme).page) == []
