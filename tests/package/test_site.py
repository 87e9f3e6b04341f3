"""The site: built without a warning, with a page for each verb, and with nothing asked from elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation import pages
from mlops_magics.road import CELLS, VERBS, magic_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_a_page_that_names_all_that_it_takes(made: dict[str, str], verb: str) -> None:
    page = made[f"reference/{verb}.md"]
    assert f"%{magic_name(verb)}" in page
    assert f"mlops_magics.{verb}(...)" in page
    assert "## Returns" in page
    assert (f"%%{magic_name(verb)}" in page) == (verb in CELLS)
    rows = re.findall(r"^\| (`[^|]+) \|[^|]*\| (.*) \|$", page, re.MULTILINE)
    usage = page.partition("```\n")[2].partition("```")[0]
    named = " ".join(what for what, _ in rows)
    assert {word for word in re.findall(r"--[\w-]+", usage) if word not in named} == set()
    assert [what for what, about in rows if not about.strip()] == []  # each is described


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_it_is_built_without_a_warning(made: dict[str, str], site: Path) -> None:
    for path in made:
        folder = path.removesuffix("index.md").removesuffix(".md")
        assert (site / folder / "index.html").is_file(), path
    assert not list(site.rglob("*.py"))
    found = [
        f"{page.relative_to(site)}: {tag}"
        for page in site.rglob("*.html")
        for tag in re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>", page.read_text()
        )
        if 'rel="canonical"' not in tag
    ]
    assert found == []


def test_each_page_and_section_that_an_error_leads_to_is_on_the_site(site: Path) -> None:
    led = {*pages.MODULES.values(), *pages.KINDS.values()}
    assert len(led) > 30
    for page in led:
        file, _, section = pages.address(page, f"{site}/").partition("#")
        text = Path(file, "index.html").read_text(encoding="utf-8")
        assert not section or f'id="{section}"' in text, page


def test_sections_are_named_in_a_notebook_as_on_the_site(site: Path) -> None:
    for name, path in pages.files().items():
        text = (site / ("" if name == "index" else name) / "index.html").read_text(encoding="utf-8")
        there = re.findall(r'<h[1-6] id="([^"]+)"', text)
        assert there == list(pages.sections(path.read_text(encoding="utf-8"))), name


def test_the_pages_that_are_built_in_are_those_of_a_checkout() -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built = {Path(name).stem: Path(path) for path, name in module.pages(ROOT).items()}
    assert built == pages.files()
