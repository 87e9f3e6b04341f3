"""One browser, one harness page a test, a real JupyterLab for the session, and a real Notebook 7."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from many_runs import fill
from playwright.sync_api import Browser, Page, Route, sync_playwright

from mlops_magics.tracking.store import Store, open_store, reconnect

from .jupyter import Jupyter, served
from .panels import EVIL, settings_in

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_STATIC = _ROOT / "mlops_magics" / "frontends" / "widgets" / "static"
_EXTENSION = _ROOT / "mlops_magics" / "labextension"
_AXE = _ROOT / "widgets" / "node_modules" / "axe-core" / "axe.min.js"
_SITE = "http://card.test/"
_SETTLED = """() => Promise.all(
  [...document.querySelectorAll(".mlp")]
    .flatMap((card) => card.getAnimations({ subtree: true }))
    .map((each) => each.finished.catch(() => null)),
)"""


def _missing(words: str) -> None:
    """Skip on a developer's machine; in CI a test that cannot run is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="module")  # Playwright holds this thread's event loop until it is closed
def browser() -> Iterator[Browser]:
    if not (program := shutil.which("chromium")):
        _missing("No Chromium. Install it with: apt-get install chromium")
    if not (_STATIC / "promote.js").is_file():
        _missing("The front end is not built. Build it with: make widgets")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@dataclass
class Card:
    """A card on the harness page, with a fake kernel behind it."""

    page: Page
    outside: list[str]  # requests that left the page; there must be none
    errors: list[str]

    def mount(self, state: object) -> None:
        self.page.evaluate("(state) => mount(state)", state)

    def push(self, **changes: Any) -> None:
        self.page.evaluate("(changes) => model.push(changes)", changes)

    def answer(self, script: str) -> None:
        """Play the kernel: a JavaScript function (request, state) -> changed parts of the state."""
        self.page.evaluate(f"() => {{ model.answer = {script} }}")

    @property
    def sent(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("model.sent")
        return found


@pytest.fixture
def new_card(browser: Browser) -> Iterator[Callable[..., Card]]:
    contexts = []
    cards: list[Card] = []

    def new(state: object = None, name: str = "promote", **options: Any) -> Card:
        context = browser.new_context(viewport={"width": 900, "height": 760}, **options)
        contexts.append(context)
        card = Card(context.new_page(), [], [])
        cards.append(card)
        card.page.on("dialog", lambda dialog: card.errors.append(f"a dialog: {dialog.message}"))
        card.page.on("pageerror", lambda error: card.errors.append(str(error)))
        card.page.route("**/*", lambda route: _serve(route, card.outside))
        card.page.goto(f"{_SITE}?{name}")
        card.page.wait_for_function("window.ready")
        if state is not None:
            card.mount(state)
        return card

    yield new
    for context in contexts:
        context.close()
    assert [card.outside for card in cards if card.outside] == [], "a card asked the network"
    assert [card.errors for card in cards if card.errors] == []


_CARDS = {"deploy", "monitor", "profile", "promote", "track"}


def _serve(route: Route, outside: list[str]) -> None:
    name = route.request.url.removeprefix(_SITE)
    if name.startswith("?"):
        route.fulfill(path=_HERE / "harness.html", content_type="text/html")
    elif name.removesuffix(".js").removesuffix(".css") in _CARDS:
        route.fulfill(path=_STATIC / name)
    else:
        outside.append(route.request.url)
        route.abort()


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """Scan our own element with axe-core."""
    if not _AXE.is_file():
        _missing("axe-core is not installed. Install it with: npm ci --prefix widgets")

    def scan(page: Page) -> list[str]:
        page.add_script_tag(path=_AXE)
        page.evaluate(_SETTLED)  # halfway between two colours the contrast is nobody's
        found = page.evaluate("axe.run('.mlp')")
        return [
            f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    return scan


def _built(home: Path, *programs: str) -> list[str]:
    """Let a server take the extension that was built here, whatever is installed."""
    extensions = home / "labextensions"
    shutil.copytree(_EXTENSION, extensions / "mlops-magics")
    return [f"--{program}.extra_labextensions_path={extensions}" for program in ("LabApp", *programs)]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    home = tmp_path_factory.mktemp("lab")
    with served("jupyterlab", home, "--LabApp.expose_app_in_browser=True", *_built(home)) as jupyter:
        yield jupyter


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    made = browser.new_page(viewport={"width": 1200, "height": 860})
    errors: list[str] = []
    # Notebook 7.6 fails so by itself, with no extension at all.
    made.on("pageerror", lambda error: "'schema'" in str(error) or errors.append(str(error)))
    made.on("dialog", lambda dialog: errors.append(f"a dialog: {dialog.message}"))
    yield made
    made.context.close()
    assert errors == []


@pytest.fixture
def flights(lab: Jupyter, prepared_twice: Any) -> Store:
    """A project with a model of two versions, and 1,000 runs more."""
    folder = lab.folder / "flights"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    prepared_twice.copy_into(folder, {})
    store = open_store(settings_in(lab, folder))
    reconnect(store)  # the last test's file of that name is gone
    ids = fill(folder / "mlflow.db", store.experiment_id("e"), 1_000, metrics=4, params=6)
    store.client.set_tag(ids[-1], "mlflow.runName", EVIL)
    return store


@pytest.fixture
def empty_lab(tmp_path: Path) -> Iterator[Jupyter]:
    """A JupyterLab in an empty folder, as somebody starts it who has nothing yet."""
    home = tmp_path / "home"
    with served("jupyterlab", home, *_built(home)) as jupyter:
        yield jupyter


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Jupyter]:
    """A JupyterLab below the path that JupyterHub gives to a user."""
    home = tmp_path / "hub"
    options = ("--LabApp.expose_app_in_browser=True", *_built(home))
    with served("jupyterlab", home, *options, base="/user/ada") as jupyter:
        yield jupyter


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Jupyter]:
    """A JupyterLab without our extension: there cards are all that is seen of us."""
    home = tmp_path / "plain"
    switched_off = home / "config" / "labconfig" / "page_config.json"
    switched_off.parent.mkdir(parents=True)
    switched_off.write_text(json.dumps({"disabledExtensions": {"mlops-magics": True}}), "utf-8")
    with served("jupyterlab", home, "--LabApp.expose_app_in_browser=True") as jupyter:
        yield jupyter


@pytest.fixture
def notebook7(tmp_path: Path) -> Iterator[Jupyter]:
    home, program = tmp_path / "notebook7", "JupyterNotebookApp"
    built = _built(home, program)
    with served("notebook", home, f"--{program}.expose_app_in_browser=True", *built) as jupyter:
        yield jupyter
