"""The comment that a reviewer reads: what it says, and the very steps that post it, beside stand-ins."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from servers import missing

from mlops_magics.steps.ci import ci
from mlops_magics.steps.ci.comments import comment
from mlops_magics.steps.ci.result import Validated, Validation
from mlops_magics.steps.ci.running import Failure

MARK = "<!-- mlops ci -->"
# What ``gh api`` does with these options: each page goes through jq, a refusal is shown and ends in 1.
GH = """
import json, os, subprocess, sys
assert os.environ["GH_TOKEN"], "no token"
words, given, method, filtered, path = sys.argv[2:], {}, "GET", "", ""
while words:
    word = words.pop(0)
    if word == "--method":
        method = words.pop(0)
    elif word == "--jq":
        filtered = words.pop(0)
    elif word == "--raw-field":
        name, _, given[name.partition("=")[0]] = words.pop(0).partition("=")
    elif word not in {"--silent", "--paginate"}:
        path = word
state = json.load(open(os.environ["STATE"]))
state["asked"].append([method, path, given])
json.dump(state, open(os.environ["STATE"], "w"))
if state["status"] != 200:
    sys.exit(f"gh: Resource not accessible by integration (HTTP {state['status']})")
for page in state["pages"] if method == "GET" else []:
    done = subprocess.run(["jq", "-r", filtered], input=json.dumps(page), text=True, capture_output=True)
    sys.stdout.write(done.stdout)
    if done.returncode:
        sys.exit(done.stderr)
"""


def validation(failed: int = 0, error: str = "It broke.") -> Validation:
    books = [
        Validated(
            f"book_{place}.ipynb", "failed", "its code has changed", failures=(Failure("code cell 1", error),)
        )
        for place in range(failed)
    ]
    left = Validated(
        "left.ipynb", "not run", "unchanged: the 3 cells that changed are not part of what makes churn"
    )
    return Validation((*books, left), "0123456789abcdef")


def test_it_says_what_came_of_each_and_why_one_was_left_out() -> None:
    text = comment(validation(1))
    assert text.startswith(f"{MARK}\n## ❌ Notebooks: 1 of 1 failed, 1 left out\n")
    assert "`unchanged: the 3 cells that changed are not part of what makes churn`" in text


@pytest.mark.parametrize("error", ["é" * 3_900, "```\n" * 39, "x\n" * 30])
def test_a_long_one_is_cut_and_leaves_no_block_open(error: str) -> None:
    text = comment(validation(400, error))
    assert 50_000 < len(text.encode()) < 60_200
    assert text.endswith("\n\n(The rest is on the page of the run.)\n")
    fence = ""
    for line in text.split("\n"):
        if not fence and line.startswith("```"):
            fence = line.removesuffix("text")
        elif line == fence:
            fence = ""
    assert not fence


# -- GitHub ------------------------------------------------------------------------------------------


@dataclass
class Posting:
    """The two steps: one of the job that has run the notebooks, one of the job that may comment."""

    place: Path
    jobs: dict[str, Any]
    asked: list[Any] = field(default_factory=list)

    def run(self, pages: list[Any], text: str, status: int = 200) -> tuple[int, str]:
        (self.place / "comment.md").write_text(text, encoding="utf-8")
        (self.place / "state.json").write_text(json.dumps({"pages": pages, "status": status, "asked": []}))
        (self.place / "output").write_text("")
        environment = {
            "PATH": f"{self.place}/bin:/usr/bin:/bin",
            "GITHUB_OUTPUT": str(self.place / "output"),
            "RUNNER_TEMP": str(self.place),
            "GITHUB_REPOSITORY": "ann/flights",
            "STATE": str(self.place / "state.json"),
        }
        handing = self.jobs["notebooks"]["steps"][-1]
        done = self._shell(handing["run"], environment)
        assert done.returncode == 0, done.stderr
        name, value = outputs(self.place / "output")
        assert name == "comment"
        given = {"GH_TOKEN": "t", "NUMBER": "7", "COMMENT": value}
        (posting,) = self.jobs["comment"]["steps"]
        assert set(posting["env"]) == set(given)
        done = self._shell(posting["run"], environment | given)
        self.asked = json.loads((self.place / "state.json").read_text())["asked"]
        return done.returncode, done.stdout + done.stderr

    def _shell(self, text: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", text],  # as GitHub calls it where no shell is named
            cwd=self.place,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def outputs(path: Path) -> tuple[str, str]:
    """Read the file of outputs as GitHub does: a name, a word, lines up to that word."""
    first, *lines = path.read_text(encoding="utf-8").split("\n")
    name, _, end = first.partition("<<")
    assert lines.count(end) == 1
    return name, "\n".join(lines[: lines.index(end)])


@pytest.fixture
def posting(project: Path, tmp_path: Path) -> Posting:
    if shutil.which("jq", path="/usr/bin:/bin") is None:
        missing("No jq, which filters as gh does. Install it with: apt-get install jq")
    made = ci(model="flights", into=project)
    place = tmp_path / "runner"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "gh").write_text(f"#!{sys.executable} -I\n{GH}")
    (place / "bin" / "gh").chmod(0o755)
    return Posting(place, yaml.safe_load((project / made.path).read_text())["jobs"])


def said(identifier: int, body: str, login: str = "github-actions[bot]") -> dict[str, Any]:
    return {"id": identifier, "body": body, "user": {"login": login, "type": "Bot"}}


PLACE = "repos/ann/flights/issues"


def test_the_first_comment_is_posted_and_later_it_is_written_anew(posting: Posting) -> None:
    text = comment(validation(1))
    code, words = posting.run([[said(1, "Another bot's")], [said(2, f"{MARK} ann's own", "ann")]], text)
    assert code == 0, words
    assert posting.asked[1:] == [["POST", f"{PLACE}/7/comments", {"body": text}]]
    pages = [[said(1, "Another bot's"), said(3, f"{MARK}\nbefore")], [said(4, "and more")]]
    code, words = posting.run(pages, text)
    assert code == 0, words
    assert posting.asked[1:] == [["PATCH", f"{PLACE}/comments/3", {"body": text}]]


def test_no_word_of_it_is_read_by_the_shell(posting: Posting) -> None:
    text = f"{MARK}\n$(touch made) `touch made` \"'\\ ${{{{ github.token }}}} @file comment<<END\nEND\n\nx\n"
    code, words = posting.run([], text)
    assert code == 0, words
    assert posting.asked[-1] == ["POST", f"{PLACE}/7/comments", {"body": text}]
    assert not (posting.place / "made").exists()


def test_where_it_may_not_be_posted_the_job_says_so(posting: Posting) -> None:
    code, words = posting.run([], MARK, status=403)
    assert code
    assert "Resource not accessible by integration" in words
    assert [method for method, *_ in posting.asked] == ["GET"]


def test_who_comments_may_do_nothing_else_and_is_off_for_forks(posting: Posting) -> None:
    job = posting.jobs["comment"]
    assert job["permissions"] == {"pull-requests": "write"}
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
    assert [set(step) & {"uses", "with"} for step in job["steps"]] == [
        set()
    ]  # no code of the change is there
    assert [
        name for name, each in posting.jobs.items() if "write" in json.dumps(each.get("permissions"))
    ] == ["comment"]
    assert "pull_request_target" not in json.dumps(posting.jobs)


# -- GitLab ------------------------------------------------------------------------------------------


@pytest.fixture
def notes() -> Iterator[Any]:
    """A stand-in for GitLab's notes of a merge request."""

    class Notes(BaseHTTPRequestHandler):
        kept: list[dict[str, Any]] = []  # noqa: RUF012 - one class a test
        asked: list[tuple[str, str]] = []  # noqa: RUF012 - likewise

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length))["body"] if length else ""
            self.asked.append((self.command, self.path))
            if self.headers["PRIVATE-TOKEN"] != "a-token":
                self.send_error(401)
                return
            if self.command == "POST":
                self.kept.insert(0, {"id": len(self.kept) + 1, "body": body, "system": False})
            elif self.command == "PUT":
                (note,) = [each for each in self.kept if self.path.endswith(f"/{each['id']}")]
                note["body"] = body
            content = json.dumps(self.kept).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Notes)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Notes, f"http://127.0.0.1:{server.server_address[1]}/api/v4"
    server.shutdown()
    server.server_close()


def test_gitlab_gets_one_note(project: Path, notes: Any, tmp_path: Path) -> None:
    kept, url = notes
    made = ci(system="gitlab", into=project)
    job = yaml.safe_load((project / made.path).read_text())["comment"]
    assert job["environment"] == {"name": "mlops-comment", "action": "access"}
    (rule,) = job["rules"]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID" in rule["if"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)

    def note(text: str, token: str) -> tuple[int, str]:
        (tmp_path / "comment.md").write_text(text, encoding="utf-8")
        given = {
            "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
            "CI_API_V4_URL": url,
            "CI_PROJECT_ID": "3",
            "CI_MERGE_REQUEST_IID": "7",
            **job["variables"],
            **({"MLOPS_NOTE_TOKEN": token} if token else {}),
        }
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", "\n".join(job["script"])],
            cwd=tmp_path,
            env=given,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    assert note("x", "")[0]
    assert "MLOPS_NOTE_TOKEN is not set" in note("x", "")[1]
    assert kept.asked == []
    code, words = note("x", "another")
    assert code
    assert "401" in words
    assert "another" not in words
    kept.kept.append({"id": 50, "body": "ann's own", "system": False})
    for text in (f"{MARK}\nfirst $(id)", f"{MARK}\nsecond"):
        code, words = note(text, "a-token")
        assert code == 0, words
    assert [each["body"] for each in kept.kept] == [f"{MARK}\nsecond", "ann's own"]
    assert kept.asked[-1] == ("PUT", "/api/v4/projects/3/merge_requests/7/notes/2")
