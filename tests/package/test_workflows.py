"""The project's own workflows: their schema, their rights, and all of a release that needs no identity."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import ROOT
from servers import missing

from mlops_magics.foundation.version import VERSION

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def described(name: str) -> Any:
    # As texts alone: YAML's own reader takes "on" for a truth.
    return yaml.load((ROOT / ".github" / "workflows" / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts only


def steps(name: str) -> list[Any]:
    return [step for job in described(name)["jobs"].values() for step in job["steps"]]


def step(name: str, title: str) -> Any:
    (found,) = [each for each in steps(name) if each.get("name") == title]
    return found


def shell(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    return subprocess.run(
        ["bash", "-e", "-c", text], cwd=folder, env=given, capture_output=True, text=True, check=False
    )


def test_there_are_two() -> None:
    assert [path.name for path in FILES] == ["release.yml", "versions.yml"]


def test_they_fit_githubs_own_schema_and_name_code_by_commit() -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*words, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for each in (step for path in FILES for step in steps(path.name)):
        if "uses" in each:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each["uses"]), each
        assert "${{" not in each.get("run", "")  # nothing is put into a shell's text


def test_each_right_is_held_by_the_job_that_needs_it() -> None:
    release, versions = described("release.yml"), described("versions.yml")
    assert release["permissions"] == {}
    assert {name: job["permissions"] for name, job in release["jobs"].items()} == {
        "build": {"contents": "read"},
        "sign": {"id-token": "write", "attestations": "write", "contents": "read"},
        "draft": {"contents": "write"},
    }
    assert versions["permissions"] == {"contents": "read"}
    running = [
        name for name, job in release["jobs"].items() if any("make" in s.get("run", "") for s in job["steps"])
    ]
    assert running == ["build"]  # what has an identity runs no code of ours
    assert [job.get("needs") for job in release["jobs"].values()] == [None, "build", "sign"]


def test_what_is_tried_each_week_is_what_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = described("versions.yml")["jobs"]["versions"]["strategy"]["matrix"]["what"]
    assert matrix == [*named, "lowest", "newest"]
    assert f"${{@:-{' '.join(matrix)}}}" in (ROOT / ".ci" / "versions").read_text(encoding="utf-8")


def test_the_script_for_versions_asks_for_what_is_named(tmp_path: Path) -> None:
    for name in ("make", "chromium"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n')
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    for words in ([], ["3.13", "lowest"]):
        subprocess.run([ROOT / ".ci" / "versions", *words], env={"PATH": path}, check=True)
    assert (tmp_path / "asked").read_text().splitlines() == [
        *(f"make test-python VERSION=3.{minor}" for minor in (11, 12, 13)),
        *("make test-lowest", "make test-newest", "make test-python VERSION=3.13", "make test-lowest"),
    ]


# -- a release, as far as it needs no identity -----------------------------------------------------------


def test_a_tag_of_another_version_or_without_a_day_stops_it(tmp_path: Path) -> None:
    """The step as it stands, in a tree with the changelog of a release."""
    text = step("release.yml", "Hold the tag against the version")["run"]
    shutil.copytree(ROOT / "mlops_magics" / "foundation", tmp_path / "mlops_magics" / "foundation")
    shutil.copy(ROOT / "mlops_magics" / "__init__.py", tmp_path / "mlops_magics")
    shutil.copy(ROOT / "mlops_magics" / "road.py", tmp_path / "mlops_magics")
    (tmp_path / "python").symlink_to(sys.executable)
    path = f"{tmp_path}:{os.environ['PATH']}"
    changelog = tmp_path / "CHANGELOG.md"
    for tag, head, said in (
        (f"v{VERSION}", f"## {VERSION} (2027-01-31)", ""),
        (f"v{VERSION}", f"## {VERSION} (unreleased)", f"The changelog has no day for {VERSION}."),
        ("v9.9.9", f"## {VERSION} (2027-01-31)", f"The tag is v9.9.9, the version {VERSION}."),
        ("$(id)", f"## {VERSION} (2027-01-31)", f"The tag is $(id), the version {VERSION}."),
    ):
        changelog.write_text(f"# Changelog\n\n{head}\n\n- A thing.\n")
        done = shell(text, tmp_path, PATH=path, TAG=tag)
        assert (done.returncode == 0, done.stdout.strip()) == (not said, said), done.stderr


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder as release-check leaves it, but for what is in the files."""
    folder = tmp_path / "dist"
    folder.mkdir()
    names = (f"mlops_magics-{VERSION}-py3-none-any.whl", f"mlops_magics-{VERSION}.tar.gz")
    lines = []
    for name in names:
        (folder / name).write_bytes(name.encode())
        lines.append(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    (folder / "sbom.json").write_text("{}", encoding="ascii")
    return folder


def test_a_file_that_was_changed_on_the_way_is_not_signed(dist: Path) -> None:
    text = step_of("sign", "Hold them against their hashes")
    assert shell(text, dist.parent).returncode == 0
    next(dist.glob("*.whl")).write_bytes(b"another")
    done = shell(text, dist.parent)
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def step_of(job: str, title: str) -> str:
    (found,) = [s["run"] for s in described("release.yml")["jobs"][job]["steps"] if s["name"] == title]
    return str(found)


@pytest.mark.parametrize("refused", ["", "SHA256SUMS"])
def test_each_file_is_checked_as_a_user_would_and_one_that_fails_stops_it(dist: Path, refused: str) -> None:
    """Beside a stand-in of gh: the check itself asks GitHub."""
    programs = dist.parent / "bin"
    programs.mkdir()
    (programs / "gh").write_text(
        f'#!{sys.executable}\nimport json, sys\nopen("asked", "a").write(json.dumps(sys.argv[1:]) + "\\n")\n'
        f'sys.exit(any(word.endswith("{refused or "nothing"}") for word in sys.argv))\n'
    )
    (programs / "gh").chmod(0o755)
    text = step_of("sign", "Check the signatures as a user would")
    path = f"{programs}:{os.environ['PATH']}"
    done = shell(text, dist.parent, PATH=path, GITHUB_REPOSITORY="ann/magics", GH_TOKEN="t")  # noqa: S106 - no secret
    assert (done.returncode == 0) == (not refused), done.stderr
    asked = [json.loads(line) for line in (dist.parent / "asked").read_text().splitlines()]
    by = ["--repo", "ann/magics", "--signer-workflow", "ann/magics/.github/workflows/release.yml"]
    assert all(words[:2] == ["attestation", "verify"] and words[3:] == by for words in asked)
    if not refused:
        assert sorted(words[2] for words in asked) == sorted(f"dist/{path.name}" for path in dist.iterdir())


def test_the_pages_own_recipe_signs_and_finds_what_was_changed(dist: Path) -> None:
    """The lines of the page, with a key that is made here and trusted by nobody else."""
    if shutil.which("gpg") is None:
        missing("No gpg. Install it with: apt-get install gnupg")
    page = (ROOT / "docs" / "release.md").read_text(encoding="utf-8")
    found = re.findall(r"^   ```\n(.*?)^   ```", page, re.MULTILINE | re.DOTALL)
    (block,) = [text for text in found if "gpg" in text]
    lines = [line.strip() for line in block.splitlines()]
    assert [line.split()[0] for line in lines] == ["cd", "gpg", "gpg", "sha256sum"]
    home = dist.parent / "keys"
    home.mkdir(mode=0o700)
    try:
        key = "gpg --batch --quiet --passphrase '' --quick-generate-key tester@example.org ed25519 sign never"
        done = shell(key, dist.parent, GNUPGHOME=str(home))
        assert done.returncode == 0, done.stderr
        done = shell("\n".join(lines), dist.parent, GNUPGHOME=str(home))
        assert done.returncode == 0, done.stderr
        check = "\n".join([lines[0], *lines[2:]])
        assert shell(check, dist.parent, GNUPGHOME=str(home)).returncode == 0
        sums = dist / "SHA256SUMS"
        kept = sums.read_text()
        sums.write_text(kept.replace(kept[0], "0" if kept[0] != "0" else "1", 1))
        done = shell(check, dist.parent, GNUPGHOME=str(home))
        assert done.returncode
        assert "BAD signature" in done.stderr
        sums.write_text(kept)
        next(dist.glob("*.tar.gz")).write_bytes(b"another")
        assert shell(check, dist.parent, GNUPGHOME=str(home)).returncode
    finally:
        shell("gpgconf --kill all", dist.parent, GNUPGHOME=str(home))
