"""The version stands in one place, the changelog keeps its form, what is wrong with a release is named."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from releasing import (
    ROOT,
    bill,
    bill_findings,
    changelog_findings,
    content_findings,
    main,
    version_findings,
)

from mlops_magics.foundation.version import VERSION
from mlops_magics.steps import doctor

GOOD = """# Changelog

## 0.2.0 (unreleased)

- One thing,
  at length.

## 0.1.0 (2026-12-01)

- The first.
"""


def test_the_version_is_the_same_everywhere(tmp_path: Path) -> None:
    assert list(version_findings()) == []
    assert len(list(version_findings(tmp_path))) == 3


def test_our_changelog_keeps_its_form() -> None:
    assert list(changelog_findings((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("0.2.0", "0.3.0"), "There is no section of 0.2.0 at the top."),
        (("(2026-12-01)", "(unreleased)"), "0.1.0 is called unreleased, and a newer one is above it."),
        (("## 0.1.0 (", "## 0.4.0 ("), "0.4.0 stands below an older version."),
        (("## 0.1.0 (2026-12-01)", "## The first one"), "'## The first one' is no heading of a version"),
        (("- The first.\n", ""), "0.1.0 says nothing."),
        (("- The first.", "- The first.\nAnd more."), "'And more.' in 0.1.0 is no entry."),
    ],
)
def test_what_is_wrong_with_a_changelog_is_named(changed: tuple[str, str], said: str) -> None:
    assert list(changelog_findings(GOOD, "0.2.0")) == []
    found = list(changelog_findings(GOOD.replace(*changed), "0.2.0"))
    assert any(one.startswith(said) for one in found), found


def test_what_is_missing_or_too_much_is_named() -> None:
    found = list(content_findings(["tests/test_x.py", "mlops_magics/__pycache__/a.pyc"], ["pyproject.toml"]))
    assert "The wheel holds tests/test_x.py." in found
    assert "mlops_magics/__pycache__/a.pyc is nobody's." in found
    assert "The wheel lacks mlops_magics/py.typed." in found
    assert "The sdist lacks LICENSE." in found
    assert "The wheel lacks the panel." in found


def test_the_bill_names_each_package_once(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"x")
    listed = [
        {"name": "b", "version": "2"},
        {"name": "a", "version": "1"},
        {"name": "mlops-magics", "version": "0"},
    ]
    told = bill(listed, wheel)
    assert [part["purl"] for part in told["components"]] == ["pkg:pypi/a@1", "pkg:pypi/b@2"]
    assert told["metadata"]["component"]["version"] == VERSION
    assert list(bill_findings(told)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told["components"][0].pop("name"), "The list of packages is no CycloneDX 1.5"),
        (lambda told: told["components"][0].update(type="package"), "The list of packages is no CycloneDX"),
        (lambda told: told["components"][0].update(licence="MIT"), "The list of packages is no CycloneDX"),
        (
            lambda told: told["components"].append(told["components"][0]),
            "The list of packages is no CycloneDX",
        ),
        (lambda told: told["metadata"]["component"]["hashes"][0].update(content="x"), "The list of packages"),
        (lambda told: told["components"][0].update(purl="pkg:pypi/A@1"), "a has the address pkg:pypi/A@1"),
    ],
    ids=["no name", "an unknown type", "an unknown field", "a part twice", "no hash", "another address"],
)
def test_a_bill_that_is_none_is_found(tmp_path: Path, change: Callable[[Any], object], said: str) -> None:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"x")
    told = bill([{"name": "a", "version": "1"}], wheel)
    assert list(bill_findings(told)) == []
    change(told)
    assert any(one.startswith(said) for one in bill_findings(told)), list(bill_findings(told))


@pytest.fixture(scope="module")
def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_doctor_knows_the_lowest_versions(project: Any) -> None:
    bounds = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(project["dependencies"]), re.MULTILINE))
    for name, lowest in doctor._LOWEST.items():
        assert tuple(map(int, bounds[name].split("."))) == lowest, name


def test_the_pythons_that_are_named_are_the_ones_that_are_tried(project: Any) -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert project["requires-python"] == f">={named[0]}"
    tried = re.search(r"@:-([\d. ]+) lowest newest", (ROOT / ".ci" / "versions").read_text(encoding="utf-8"))
    assert tried is not None
    assert tried[1].split() == named
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {named[0]} to {named[-1]}" in readme


@pytest.mark.slow
def test_a_release_of_this_tree_could_go_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path / "dist") == 0, capsys.readouterr().out
    hashed = (tmp_path / "dist" / "SHA256SUMS").read_text()
    assert hashed.count(f"mlops_magics-{VERSION}") == 2
    told = json.loads((tmp_path / "dist" / "sbom.json").read_text())
    assert "mlflow" in {part["name"] for part in told["components"]}
