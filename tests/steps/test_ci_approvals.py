"""The step that promotes, executed as GitHub does beside a ``gh`` that answers as GitHub's reference says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import missing

from mlops_magics.steps.ci import ci

# What ``gh api PATH --jq FILTER`` does: an answer goes through jq; a refusal is shown as it is: it ends in 1.
GH = """
import json, os, subprocess, sys
verb, path, flag, filtered = sys.argv[1:]
assert (verb, flag) == ("api", "--jq"), sys.argv
if not os.environ.get("GH_TOKEN"):
    sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")
known = json.load(open(os.environ["ANSWERS"]))
status, body = known.get(path, (404, {"message": "Not Found", "status": "404"}))
if status != 200:
    sys.stdout.write(json.dumps(body))
    sys.exit(f"gh: {body['message']} (HTTP {status})")
done = subprocess.run(["jq", "-r", filtered], input=json.dumps(body), text=True, capture_output=True)
sys.stdout.write(done.stdout)
sys.exit(done.stderr or 0)
"""
# Keeps the words that it was called with.
MLOPS = 'for word in "$@"; do printf "%s\\n" "$word"; done > "$CALLED"'


def review(login: str, state: str = "approved", environment: str = "production") -> dict[str, Any]:
    """Write one review of a run, with what GitHub's reference shows of it."""
    return {
        "state": state,
        "comment": "Ship it!",
        "environments": [
            {
                "id": 161088068,
                "node_id": "MDExOkVudmlyb25tZW50MTYxMDg4MDY4",
                "name": environment,
                "created_at": "2020-11-23T22:00:40Z",
                "updated_at": "2020-11-23T22:00:40Z",
            }
        ],
        "user": {"login": login, "id": 1, "type": "User", "site_admin": False},
    }


@dataclass
class Promoting:
    """The last step of the job, and what it has called."""

    place: Path
    step: dict[str, Any]

    def run(self, status: int, body: Any, **variables: str) -> tuple[int, str]:
        path = "repos/ann/flights/actions/runs/7/approvals"
        (self.place / "answers.json").write_text(json.dumps({path: [status, body]}))
        given = {
            "PATH": f"{self.place}/bin:/usr/bin:/bin",
            "GITHUB_REPOSITORY": "ann/flights",
            "GITHUB_RUN_ID": "7",
            "ANSWERS": str(self.place / "answers.json"),
            "CALLED": str(self.place / "called"),
            "MLOPS_STORE": "https://mlflow.example.com",
            "MODEL": "flights",
            "VERSION": "3",
            "COMMIT": "abc",
            "GH_TOKEN": "t",
        }
        assert set(self.step["env"]) - set(given) == {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
        done = subprocess.run(
            ["bash", "-e", "-c", self.step["run"]],  # as GitHub calls it where no shell is named
            cwd=self.place,
            env=given | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def called(self) -> list[str] | None:
        """The words of the promotion; None where there was none."""
        file = self.place / "called"
        return file.read_text().splitlines() if file.exists() else None


@pytest.fixture
def promoting(project: Path, tmp_path: Path) -> Promoting:
    if shutil.which("jq", path="/usr/bin:/bin") is None:
        missing("No jq, which filters as gh does. Install it with: apt-get install jq")
    made = ci(model="flights", into=project)
    described = yaml.safe_load((project / made.path).read_text())
    place = tmp_path / "runner"
    (place / "bin").mkdir(parents=True)
    program: Callable[[str, str], None] = lambda name, text: _program(place / "bin" / name, text)  # noqa: E731 - short
    program("gh", f"#!{sys.executable} -I\n{GH}")
    program("mlops", f"#!/bin/sh\n{MLOPS}\n")
    return Promoting(place, described["jobs"]["promote"]["steps"][-1])


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
    assert os.access(path, os.X_OK)


def test_who_approved_is_in_the_reason_each_once(promoting: Promoting) -> None:
    reviews = [
        review("cho"),
        review("ann"),
        review("cho"),
        review("dan", "rejected"),
        review("eve", "pending"),
    ]
    code, said = promoting.run(200, reviews)
    assert code == 0, said
    reason = "Commit abc, approved by ann, cho"
    words = ["promote", "flights", "--version", "3", "--to", "champion", "--reason", reason]
    assert promoting.called == words


@pytest.mark.parametrize(
    "reviews",
    [[], [review("ann", "rejected")], [review("ann", "pending")], [review("ann", environment="staging")]],
    ids=["nobody", "rejected", "only a comment", "another environment"],
)
def test_without_an_approval_nothing_is_promoted(promoting: Promoting, reviews: list[Any]) -> None:
    code, said = promoting.run(200, reviews)
    assert code
    assert "Nobody approved. Give the environment production required reviewers." in said
    assert promoting.called is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"message": "Resource not accessible by integration", "status": "403"}),
        (404, {"message": "Not Found", "status": "404"}),
        (500, {"message": "Server Error"}),
        (200, {"message": "not a list of reviews"}),
    ],
)
def test_where_github_does_not_say_who_approved_nothing_is_promoted(
    promoting: Promoting, status: int, body: Any
) -> None:
    code, said = promoting.run(status, body)
    assert code
    assert body["message"] in said or status == 200
    assert promoting.called is None


def test_without_a_token_or_a_store_nothing_is_promoted(promoting: Promoting) -> None:
    code, said = promoting.run(200, [review("ann")], GH_TOKEN="")
    assert (code != 0, promoting.called) == (True, None)
    assert "GH_TOKEN" in said
    code, said = promoting.run(200, [review("ann")], MLOPS_STORE="")
    assert (code != 0, promoting.called) == (True, None)
    assert "The secret MLOPS_STORE is not set" in said


def test_no_name_and_no_commit_is_read_by_the_shell(promoting: Promoting) -> None:
    code, said = promoting.run(200, [review('a"$(id)`id`\\')], COMMIT='"; id; $(id)', MODEL="a $b")
    assert code == 0, said
    assert promoting.called == [
        *("promote", "a $b", "--version", "3", "--to", "champion"),
        *("--reason", 'Commit "; id; $(id), approved by a"$(id)`id`\\'),
    ]
