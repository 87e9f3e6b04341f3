"""An error names the page that explains it: by its kind, where it was raised, or the verb that was asked."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation import pages
from mlops_magics.foundation.errors import MissingExtraError, MLOpsError, UsageError
from mlops_magics.foundation.names import checked_name
from mlops_magics.road import VERBS
from mlops_magics.steps.promote import promote
from mlops_magics.steps.promote.governing import read as read_policy
from mlops_magics.steps.status import status
from mlops_magics.steps.status.page import Page
from mlops_magics.tracking.reach import reach

PACKAGE = Path(pages.__file__).parents[1]
SITE = "https://docs.example.org/stable"
# What is raised in these rooms is about the verb that asked, or about none; rows name what has a page.
ABOUT_NOTHING_ELSE = {
    "artifact",
    "foundation",
    "frontends",
    "lineage",
    "runner",
    "serving",
    "stats",
    "testing",
    "tracking",
    "__init__",
    "model_parts",
}


def raised(call: Callable[..., object], *words: Any, **named: Any) -> MLOpsError:
    with pytest.raises(MLOpsError) as caught:
        call(*words, **named)
    return caught.value


def test_each_row_is_of_a_module_that_is_there() -> None:
    for name in pages.MODULES:
        path = PACKAGE.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name


def test_each_verb_has_a_page() -> None:
    for address in VERBS.values():
        assert pages.page_of_module(address.partition(":")[0]), address


def test_the_kinds_are_kinds_of_error() -> None:
    module = importlib.import_module("mlops_magics.foundation.errors")
    assert all(issubclass(getattr(module, name), MLOpsError) for name in pages.KINDS)


def test_a_module_of_a_room_of_parts_that_raises_has_a_page() -> None:
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    found = {name for name in found if name.partition(".")[0] not in ABOUT_NOTHING_ELSE}
    assert len(found) > 50
    assert {name for name in found if not pages.page_of_module(f"mlops_magics.{name}")} == set()


def test_where_it_was_raised_says_what_explains_it(project: Path) -> None:
    assert project
    away = raised(reach, "http://127.0.0.1:9", 1.0)
    assert away.explained() == "mlops --page track#while-the-store-does-not-answer explains it."
    assert raised(checked_name, "../x", "model").explained() == ""  # it is about the verb that took the name
    odd = raised(promote, "../x", version="1")
    assert odd.explained(door="%mlops") == "%mlops --page promote explains it."
    policy = raised(read_policy, Path("gone.toml"))
    assert policy.explained() == "mlops --page promote#a-policy explains it."


def test_a_kind_of_error_has_its_page_wherever_it_comes_from() -> None:
    assert "index#install-it-in-your-own-environment" in MissingExtraError("ray", "ray").explained()


def test_before_a_step_begins_the_verb_that_was_asked_explains_it() -> None:
    flag = UsageError("%mlops_tune has no option --tims.", "Did you mean '--times'?")
    assert flag.explained() == ""
    assert flag.explained("mlops_magics.steps.tune") == "mlops --page tune explains it."
    assert flag.explained("drift.of_a_guest") == ""


def test_a_site_that_was_published_is_led_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "mlops_magics.steps.promote.governing"
    error = UsageError("It is no policy.", "Write one.")
    assert error.explained(asked, base=SITE) == f"{SITE}/promote/#a-policy explains it."
    monkeypatch.setattr(pages, "_published", lambda: f"{SITE}/")
    assert error.explained(asked) == f"{SITE}/promote/#a-policy explains it."
    assert error.explained(asked, base="http://here:1") == "http://here:1/promote/#a-policy explains it."
    assert pages.address("index#the-road", pages.site()) == f"{SITE}/#the-road"


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ([], ""),
        (["Source, https://example.org/source"], ""),
        (["Source, https://example.org/source", f"Documentation, {SITE}"], SITE),
        ([f"docs, {SITE}"], SITE),
        (["Documentation, javascript:alert(1)"], ""),
    ],
)
def test_what_the_metadata_name_as_documentation_is_taken(urls: list[str], expected: str) -> None:
    assert pages.documentation(urls) == expected


def test_below_an_error_of_a_function_stands_the_command_that_shows_its_page(project: Path) -> None:
    assert project
    shown = raised(promote, "../x", version="1")._render_traceback_()
    assert shown[2:] == ["? mlops --page promote explains it."]
    assert len(UsageError("A.", "B.")._render_traceback_()) == 2


def test_a_page_and_a_section_of_it_are_shown(project: Path) -> None:
    whole, part = status(page="promote"), status(page="promote#a-policy")
    assert isinstance(part, Page)
    assert whole.text.startswith("# Promote\n")
    assert part.text.startswith("## A policy\n")
    assert part.text.strip() in whole.text
    assert "## Asking for a review" not in part.text
    data, about = part._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/markdown"}
    assert about["mlops_magics"]["volatile"]
    assert "approvers" in str(part)
    assert not (project / "mlflow.db").exists()  # a page asks no store


def test_each_page_can_be_shown_and_its_links_lead_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project
    for name in pages.files():
        text = status(page=name).text
        assert "](../" not in text, name
        assert ".md)" not in text, name
        assert "![" not in text, name
    assert "schedules (`%mlops --page schedule`)" in status(page="retrain#on-a-schedule").text
    monkeypatch.setenv("MLOPS_DOCS", SITE)
    assert f"[schedules]({SITE}/schedule/)" in status(page="retrain#on-a-schedule").text


def test_a_heading_in_a_block_of_code_is_none() -> None:
    text = "# A\n\n````\n# B\n```\n# C\n````\n\n## `d` and: E\n\n# F\n"
    assert list(pages.sections(text)) == ["a", "d-and-e", "f"]
    assert pages.sections(text)["a"].endswith("## `d` and: E\n")


def test_a_page_that_is_not_there_is_named_with_the_nearest(project: Path) -> None:
    assert project
    assert raised(status, page="promot").remedy == "Did you mean 'promote'?"
    assert raised(status, page="promote#a-polizy").remedy == "Did you mean 'a-policy'?"
    assert raised(status, page="../README").what == "There is no page '../README'."
    assert "--page" in raised(status, page="promote", store="sqlite:///x.db").what
