"""A sheet of ours holds within what is ours: what another extension calls by the same name stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from .jupyter import Jupyter
from .panels import opened
from .states import ready

pytestmark = pytest.mark.browser

SHEETS = Path(__file__).resolve().parents[2] / "mlops_magics" / "frontends" / "widgets" / "static"
# Elements of each kind and class, and the same without a class beside them; those that look otherwise.
OTHERWISE = """classes => {
  const kinds = ["div", "button", "input", "select", "table", "td"];
  const made = (kind, name) => {
    const outer = document.createElement("div"), inner = document.createElement(kind);
    if (name) { outer.className = `mlp ${name}`; inner.className = name; }
    outer.append(inner);
    document.body.append(outer);
    const look = [outer, inner].map((one) => {
      const style = getComputedStyle(one);
      return [...style].map((property) => `${property}: ${style.getPropertyValue(property)}`).join("; ");
    });
    outer.remove();
    return look.join(" | ");
  };
  return kinds.flatMap((kind) => {
    const plain = made(kind, "");
    return classes.filter((name) => made(kind, name) !== plain).map((name) => `${kind}.${name}`);
  });
}"""


LOOKS = """card => [card, ...card.querySelectorAll("*")].map((one) => {
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const { color, backgroundColor, display, padding, font } = style;
  return [color, backgroundColor, display, padding, font, box.width, box.height];
}).join("; ")"""


def names(*sheets: str) -> list[str]:
    found = {name for sheet in sheets for name in re.findall(r"\.(mlp[\w-]*)", sheet)}
    assert {"mlp", "mlp-row", "mlp-head"} <= found
    return sorted(found)


def test_no_sheet_reaches_beyond_its_card(new_card: Callable[..., Any]) -> None:
    sheets = {path.name: path.read_text("utf-8") for path in SHEETS.glob("*.css")}
    assert len(sheets) == 5
    page = new_card(ready()).page
    for text in sheets.values():
        page.add_style_tag(content=text)
    assert page.evaluate(OTHERWISE, names(*sheets.values())) == []


@pytest.mark.slow
def test_the_panels_sheet_reaches_nothing_but_the_panel(
    page: Page, lab: Jupyter, new_card: Callable[..., Any]
) -> None:
    opened(page, lab, "sheet", "1")
    sheet = page.locator("style[data-mlops]").text_content() or ""
    beside = new_card(ready()).page
    beside.add_style_tag(content=sheet)
    assert beside.evaluate(OTHERWISE, names(sheet)) == []


def test_the_sheets_of_other_cards_leave_a_card_as_it_is(new_card: Callable[..., Any]) -> None:
    page = new_card(ready()).page
    card = page.get_by_role("group", name="Promotion")
    expect(card).to_be_visible()
    before = card.evaluate(LOOKS)
    assert card.evaluate("card => getComputedStyle(card).containerType") == "inline-size"
    for name in ("deploy", "monitor", "profile", "track"):
        page.add_style_tag(path=SHEETS / f"{name}.css")
    assert card.evaluate(LOOKS) == before
