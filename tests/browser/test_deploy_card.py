"""The endpoint card in a browser: alone with the kernel's own side behind it, and in a real JupyterLab."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from places import project_in
from playwright.sync_api import Browser, Page, expect
from prepared import Prepared

from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets import CARDS
from mlops_magics.steps.deploy import Deployment, deploy

from .jupyter import command, kernel_ready, run_all, shot

pytestmark = pytest.mark.browser

NewCard = Callable[..., Any]
Scan = Callable[[Page], list[str]]
EVIL = "<img src=x onerror=alert(1)>\u202eevil"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Deployment]:
    with project_in(tmp_path_factory.mktemp("endpoint")) as folder:
        prepared.copy_into(folder, {})
        yield deploy("flights/1")
        deploy("flights", remove=True)


@pytest.fixture
def kernel(live: Deployment) -> Any:
    """The card in the kernel; what it sends is kept."""
    made = CARDS.get("Deployment")(live)
    made.sent = []
    made.send = made.sent.append
    return made


def opened(new_card: NewCard, kernel: Any, **options: Any) -> Any:
    """Show the card on the harness page, with its own kernel's side behind it."""
    made = new_card(None, "deploy", **options)

    def answer(content: dict[str, Any]) -> Any:
        kernel._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        return kernel.sent.pop()

    made.page.expose_function("kernel", answer)
    made.mount(kernel.state)
    return made


@pytest.fixture
def card(new_card: NewCard, kernel: Any) -> Any:
    return opened(new_card, kernel)


def test_a_row_is_tried_by_keyboard_and_read_by_a_screen_reader(card: Any) -> None:
    page = card.page
    expect(page.get_by_role("heading", name="Endpoint flights")).to_be_visible()
    form = page.get_by_role("form", name="Try it")
    age = form.get_by_label(re.compile("^age"))
    age.fill("80")
    age.press("Enter")
    answer = page.locator(".mlp-answer")
    expect(answer).to_have_text(re.compile(r"Prediction: [01]version 1, [\d.]+ ms"))
    expect(answer).to_have_attribute("role", "status")
    expect(age).to_be_focused()
    form.get_by_label(re.compile("^town")).fill("Nowhere")
    form.get_by_label(re.compile("^size")).fill("")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(form.get_by_role("button", name="Ask")).to_be_focused()
    page.keyboard.press("Space")
    expect(answer).to_contain_text("version 1")
    age.fill("old")
    age.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("age must be a number. Correct it, and ask again.")
    expect(answer).to_be_empty()
    expect(age).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label(re.compile("^town"))).not_to_have_attribute("aria-invalid", "true")
    expect(form.get_by_role("button", name="Ask")).to_have_attribute("aria-disabled", "false")
    expect(page.get_by_role("table", name="Latency by stage")).to_contain_text("predict", timeout=15_000)
    expect(page.get_by_role("table", name="Versions in service")).to_contain_text("live")
    expect(age).to_have_value("old")  # what somebody wrote outlives a look


def test_no_token_comes_to_the_page(card: Any) -> None:
    page = card.page
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".mlp-answer")).to_contain_text("version 1")
    (key,) = (Settings.discover().state / "keys").glob("flights-*")
    token = key.read_text()
    assert token not in page.content()
    assert token not in str(page.evaluate("[model.state, model.sent]"))
    page.get_by_text("curl", exact=True).click()
    expect(page.get_by_role("region", name="Code: curl")).to_contain_text("cat ")
    page.get_by_text("Python", exact=True).click()
    expect(page.get_by_role("region", name="Code: Python")).to_contain_text("read_text()")


def test_a_snippet_is_copied(new_card: NewCard, kernel: Any) -> None:
    page = opened(new_card, kernel, permissions=["clipboard-read", "clipboard-write"]).page
    page.get_by_text("curl", exact=True).click()
    page.get_by_role("button", name="Copy code: curl").click()
    expect(page.locator(".mlp-status")).to_have_text("Copied.")
    box = page.get_by_label(re.compile("^town"))
    box.fill("")
    box.press("Control+v")
    assert box.input_value() == kernel.state["snippets"][0][1].replace("\n", " ")  # a field has one line


@pytest.mark.slow
def test_looking_is_stopped_and_begun_again(card: Any) -> None:
    page = card.page
    toggle = page.get_by_role("button", name="Live")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.press("Space")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    before = len(card.sent)
    page.wait_for_timeout(5_600)
    assert len(card.sent) == before
    toggle.press("Enter")
    page.wait_for_timeout(300)
    assert [one["ask"] for one in card.sent[before:]] == ["look"]
    page.wait_for_timeout(5_600)
    assert len(card.sent) == before + 2
    page.evaluate("document.getElementById('output').hidden = true")  # scrolled away in a closed cell, say
    page.wait_for_timeout(5_600)
    assert len(card.sent) == before + 2


def test_what_an_endpoint_says_is_text(new_card: NewCard, kernel: Any) -> None:
    column = {"name": EVIL, "type": "string", "required": False, "example": EVIL}
    traffic = {
        "requests": 3,
        "rows": 2,
        "errors": [[EVIL, 1]],
        "breaches": [[EVIL, 1]],
        "stages": [[EVIL, 0.1, 0.2, 0.3]],
        "roles": [[EVIL, "live", 2]],
        "counts": [0, 3],
    }
    names = dict.fromkeys(("name", "model", "version", "beside", "remark", "follows", "key_file"), EVIL)
    shown = {**kernel.state, **names, "fields": [column], "traffic": traffic, "said": ["first", EVIL]}
    card = new_card(shown, "deploy")
    expect(card.page.locator(".mlp-said")).to_have_text(["first", EVIL])
    assert card.page.locator(".mlp :is(img, script)").count() == 0
    assert EVIL in card.page.locator(".mlp").inner_text()
    expect(card.page.get_by_role("table", name="Against the contract")).to_be_visible()


def test_a_kernel_that_is_gone_is_said(card: Any) -> None:
    page = card.page
    page.evaluate("disconnect()")
    expect(page.locator(".mlp-status")).to_contain_text("The kernel is gone")
    before = len(card.sent)
    page.get_by_role("button", name="Ask").press("Enter")
    page.wait_for_timeout(100)
    assert len(card.sent) == before
    assert page.evaluate("(clean(), model.listening())") == 0
    page.wait_for_timeout(5_300)
    assert len(card.sent) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [900, 420])
def test_nothing_stands_in_the_way(
    new_card: NewCard, kernel: Any, violations: Scan, scheme: str, width: int
) -> None:
    made = opened(new_card, kernel, color_scheme=scheme)
    page = made.page
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".mlp-answer")).to_contain_text("version 1")
    page.get_by_text("curl", exact=True).click()
    page.get_by_label(re.compile("^age")).fill("x")
    page.get_by_label(re.compile("^age")).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("must be a number")
    expect(page.get_by_role("table", name="Latency by stage")).to_be_visible(timeout=15_000)
    shot(page, f"deploy-{scheme}-{width}")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is as wide as the page"


@pytest.mark.slow
def test_in_a_real_jupyterlab(lab: Any, browser: Browser, live: Deployment) -> None:
    state = str(Settings.discover().state)
    context = browser.new_context(viewport={"width": 1200, "height": 1300})
    page = context.new_page()
    try:
        page.goto(
            lab.notebook(
                "endpoint.ipynb",
                f"import os\nos.chdir({str(Path.cwd())!r})\nos.environ['MLOPS_STATE'] = {state!r}",
                "%load_ext mlops_magics\n%config MLOps.standby = False",
                f"%mlops_deploy {live.name}/1",
            )
        )
        run_all(page)
        form = page.get_by_role("form", name="Try it")
        expect(form).to_be_visible(timeout=60_000)
        form.get_by_label(re.compile("^age")).fill("80")
        form.get_by_role("button", name="Ask").click()
        expect(page.locator(".mlp-answer")).to_contain_text("Prediction", timeout=20_000)
        expect(page.get_by_role("table", name="Latency by stage")).to_be_visible(timeout=20_000)
        for theme in ("Light", "Dark"):
            command(page, "apputils:change-theme", theme=f"JupyterLab {theme}")
            page.wait_for_timeout(1_500)
            shot(page, f"deploy-lab-{theme.lower()}")
        kernel_ready(page)
    finally:
        context.close()
