"""Schedules: each text held against its scheduler's own schema, each word against what comes of it."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import stat
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain import schedule
from mlops_magics.steps.retrain.schedule import KINDS, Cadence, Wanted, slug

IMAGE = "registry.example.com/team/flights:1"
ODD = [
    "y", "n", "on", "0123", "1e3", "null", "~", "", " ", "a b", "50%", "$HOME", "`id`", "$(id)", "a'b", 'a"b',
    "a\\b", "\\", "{{ x }}", "*", "#", ";", "&&", "-x", "a: b", "é", "%h", "!",
]  # fmt: skip
TEXT = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cc", "Cn", "Cs", "Zl", "Zp"]), max_size=20
)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def at(tmp: Path) -> Settings:
    (tmp / "project").mkdir(exist_ok=True)
    return Settings(root=tmp / "project", store="sqlite:///a.db", state=tmp / "state")


def wanted(*words: str, **changes: Any) -> Wanted:
    given_ = {
        "command": words or (sys.executable, "retrain", "flights"),
        "when": "6h",
        "name": "retrain-flights",
    }
    return Wanted(**{**given_, "image": IMAGE, **changes})


def written(tmp: Path, kind: str, *words: str, **changes: Any) -> dict[str, str]:
    done = schedule.write(kind, wanted(*words, **changes), at(tmp))
    return {name: (done.folder / name).read_text() for name in done.files}


# -- when ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "seconds"),
    [("1m", 60), ("5m", 300), ("15m", 900), ("30m", 1_800), ("1h", 3_600), ("60m", 3_600), ("2h", 7_200),
     ("6h", 21_600), ("12h", 43_200), ("24h", 86_400), ("1d", 86_400), ("7d", 604_800), ("168h", 604_800)],
)  # fmt: skip
@pytest.mark.parametrize("name", ["retrain-flights", "a", "b", "c"])
def test_a_length_of_time_becomes_runs_that_far_apart(when: str, seconds: int, name: str) -> None:
    cadence = Cadence.parse(when, name)
    assert cadence.seconds == seconds
    times = croniter(cadence.cron, BEGUN)
    runs = [times.get_next(float) for _ in range(40)]
    assert {later - earlier for earlier, later in itertools.pairwise(runs)} == {seconds}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("7h", "every '7h' evenly.\nWrite 6h or 8h"),
        ("45m", "every '45m' evenly.\nWrite 30m or 1h"),
        ("90m", "every '90m' evenly.\nWrite 1h or 2h"),
        ("5d", "every '5d' evenly.\nWrite 1d or 7d"),
        ("30d", "every '30d' evenly.\nWrite 7d"),
        ("90s", "whole minutes"),
        ("0h", "cannot be"),
        ("often", "cannot be"),
        ("", "cannot be"),
        ("60 * * * *", "no minute between"),
        ("* 24 * * *", "no hour between"),
        ("* * 0 * *", "no day of the month between"),
        ("* * * 13 *", "no month between"),
        ("* * * * 8", "no day of the week between"),
        ("5-1 * * * *", "no minute between"),
        ("*/0 * * * *", "no minute between"),
        ("* * * * mon", "no day of the week of a cron"),
        ("@daily * * * *", "no minute of a cron"),
        ("$(id) * * * *", "no minute of a cron"),
    ],
)
def test_what_no_calendar_says_is_refused_and_what_it_says_is_named(when: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        Cadence.parse(when, "retrain-flights")


FIELD = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


@st.composite
def _crons(draw: st.DrawFn) -> str:
    words = []
    for least, most in FIELD:
        first = draw(st.integers(least, most - 1))
        last, step = (
            draw(st.integers(first + 1, most)),
            draw(st.integers(1, 20)),
        )  # croniter takes 3-3 for any
        said = ["*", f"*/{step}", str(first), f"{first}-{last}", f"{first}-{last}/{step}", f"{least},{most}"]
        words.append(draw(st.sampled_from(said)))
    return " ".join(words)


@given(_crons())
@settings(max_examples=200, deadline=None)
def test_cron_expressions_are_read_as_croniter_reads_them(cron: str) -> None:
    fields = Cadence.parse(cron, "a").fields
    theirs = croniter.expand(cron)[0]
    for ours, other, (least, most) in zip(fields, theirs, FIELD, strict=True):
        whole = set(range(least, most + 1)) if most != 7 else set(range(7))
        said = whole if other == ["*"] else {value % 7 if most == 7 else value for value in other}
        assert (whole if ours is None else set(ours)) == said


@pytest.mark.parametrize(
    ("cron", "calendar"),
    [
        ("*/15 * * * *", "*-*-* *:00,15,30,45:00 UTC"),
        ("5 3 * * *", "*-*-* 03:05:00 UTC"),
        ("5 3 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 03:05:00 UTC"),
        ("5 3 * * 7", "Sun *-*-* 03:05:00 UTC"),
        ("0 0 1 */3 *", "*-01,04,07,10-01 00:00:00 UTC"),
    ],
)
def test_systemd_is_told_the_same(cron: str, calendar: str) -> None:
    assert Cadence.parse(cron, "a").calendar == calendar


def test_systemd_cannot_say_days_of_both_kinds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not both"):
        written(tmp_path, "systemd", when="0 0 1 * 1")
    written(tmp_path, "crontab", when="0 0 1 * 1")


# -- words -----------------------------------------------------------------------------------------

SHOW = (
    sys.executable,
    "-c",
    "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))",
)


def _by_cron(line: str) -> str:
    """Do with a line what cron does: its fields, its percent signs."""
    command = line.rstrip("\n").split(" ", 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    return command.replace("\\%", "%")


@pytest.mark.parametrize("odd", ODD)
def test_cron_runs_the_words_that_were_given(tmp_path: Path, odd: str) -> None:
    folder = tmp_path / "a 50% folder's"
    folder.mkdir()
    (tmp_path / "project").mkdir()
    asked = wanted(*SHOW, odd, "last", variables={"ODD": odd}, folder=folder)
    done = schedule.write("crontab", asked, at(tmp_path), into=tmp_path / "o'ut 7%")
    command = _by_cron((done.folder / "retrain-flights.crontab").read_text())
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    told = subprocess.run(["/bin/sh", "-c", command], env=home, check=True, capture_output=True, text=True)
    words, where, environ = json.loads(told.stdout)
    assert words == [odd, "last"]
    assert where == str(folder)
    assert environ["ODD"] == odd


def test_crons_script_ends_as_the_command_does_and_reads_the_users_secrets(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    program = "import os, sys; sys.exit(7 if os.environ['MY_TOKEN'] == 'a b' else 1)"
    done = schedule.write("crontab", wanted(sys.executable, "-c", program), at(tmp_path))
    secrets = tmp_path / ".config" / "mlops-magics" / "retrain-flights.env"
    secrets.parent.mkdir(parents=True)
    secrets.write_text("MY_TOKEN='a b'\n")
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    assert (
        subprocess.run(["/bin/sh", done.folder / "retrain-flights.sh"], env=home, check=False).returncode == 7
    )


def test_installing_a_crontab_twice_leaves_one_line(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    table, programs = tmp_path / "table", tmp_path / "bin"
    programs.mkdir()
    fake = programs / "crontab"
    fake.write_text(
        f'#!/bin/sh\nif [ "$1" = -l ]; then cat {table}; else cat > {table}.new; mv {table}.new {table}; fi\n'
    )
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    table.write_text("0 0 * * * other\n")
    (then,) = schedule.write("crontab", wanted(), at(tmp_path)).then
    environ = {"PATH": f"{programs}:/usr/bin:/bin"}
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", then], cwd=tmp_path / "project", env=environ, check=True)
    lines = table.read_text().splitlines()
    assert len(lines) == 2
    assert lines[0] == "0 0 * * * other"
    assert lines[1].endswith("# mlops-magics:retrain-flights")


def _by_systemd(text: str, *, command: bool) -> list[str]:
    """Take a line apart as systemd.syntax(7) and systemd.service(5) say."""
    words, at_ = [], 0
    while at_ < len(text):
        if text[at_] == " ":
            at_ += 1
            continue
        assert text[at_] == '"', "each word is quoted"
        word, at_ = "", at_ + 1
        while text[at_] != '"':
            if text[at_] == "\\":
                assert text[at_ + 1] in '"\\'
                at_ += 1
            word, at_ = word + text[at_], at_ + 1
        assert not re.search(r"%(?!%)", word.replace("%%", "")), "a specifier"
        word = word.replace("%%", "%")
        if command:
            assert "$" not in word.replace("$$", ""), "a variable"
            word = word.replace("$$", "$")
        words.append(word)
        at_ += 1
    return words


@given(st.lists(TEXT, max_size=4), TEXT)
@settings(max_examples=100, deadline=None)
def test_systemd_reads_the_words_that_were_given(words: list[str], value: str) -> None:
    project = Settings(root=Path("/srv/a 50% folder"), store="", state=Path("/s"))
    made = schedule.files("systemd", wanted("/usr/bin/mlops", *words, variables={"A": value}), project)
    lines = made["retrain-flights.service"].decode().split("\n")
    told = dict(line.partition("=")[::2] for line in lines if "=" in line)
    assert _by_systemd(told["ExecStart"], command=True) == ["/usr/bin/mlops", *words]
    assert _by_systemd(told["Environment"], command=False) == [f"A={value}"]
    assert told["WorkingDirectory"] == "/srv/a 50%% folder"
    assert told["Type"] == "oneshot"


@given(st.lists(TEXT, max_size=4), TEXT)
@settings(max_examples=100, deadline=None)
def test_github_runs_the_words_that_were_given(words: list[str], value: str) -> None:
    project = Settings(root=Path("/srv/a"), store="", state=Path("/s"))
    try:
        made = schedule.files("github", wanted("mlops", *words, variables={"A": value}), project)
    except UsageError:
        assert any("${{" in text for text in (*words, value))
        return
    workflow = yaml.safe_load(made[".github/workflows/retrain-flights.yml"])
    (step,) = [step for step in workflow["jobs"]["retrain"]["steps"] if step.get("name") == "Retrain"]
    assert shlex.split(step["run"]) == ["mlops", *words]
    assert step["env"] == {"A": value}


@pytest.mark.parametrize("kind", ["cronjob", "kubeflow"])
@given(words=st.lists(TEXT, max_size=4), value=TEXT)
@settings(max_examples=60, deadline=None)
def test_images_run_the_words_that_were_given(kind: str, words: list[str], value: str) -> None:
    project = Settings(root=Path("/srv/a"), store="", state=Path("/s"))
    try:
        made = schedule.files(kind, wanted("mlops", *words, variables={"A": value}), project)
    except UsageError:
        assert kind == "kubeflow"
        assert any(sign in text for text in (*words, value) for sign in ("{{$", "$("))
        return
    if kind == "cronjob":
        told = json.loads(made["retrain-flights.json"])["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        container = told["containers"][0]
        run, env = container["command"], container["env"]
        run, env = ([_by_kubernetes(word) for word in run],
                    {item["name"]: _by_kubernetes(item["value"]) for item in env})  # fmt: skip
    else:
        (pipeline,) = yaml.safe_load_all(made["retrain-flights.yaml"])
        container = pipeline["deploymentSpec"]["executors"]["exec-retrain"]["container"]
        run, env = container["args"], {item["name"]: item["value"] for item in container["env"]}
    assert run == ["mlops", *words]
    assert env["A"] == value


def _by_kubernetes(text: str) -> str:
    """Expand as Kubernetes does: ``$$(`` is ``$(``, and ``$(NAME)`` would be a variable."""
    assert not re.search(r"(?<!\$)(?:\$\$)*\$\(", text), "a variable"
    return re.sub(r"\$\$", "$", text)


# -- schemas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"secrets": ("MLFLOW_TRACKING_TOKEN",), "variables": {"A": "on"}}])
def test_a_workflow_holds_to_githubs_schema(tmp_path: Path, changes: dict[str, Any]) -> None:
    (text,) = written(tmp_path, "github", "mlops", "retrain", "flights", **changes).values()
    workflow = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - all as texts: "on" is no boolean to GitHub
    schema = resources("check_jsonschema") / "builtin_schemas" / "vendor" / "github-workflows.json"
    jsonschema.validate(yaml.safe_load(text), json.loads(schema.read_text()))
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow["on"]) == {"schedule", "workflow_dispatch"}
    steps = workflow["jobs"]["retrain"]["steps"]
    for step in steps:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step.get("uses", "actions/a@v1.1.1"))
    assert steps[0]["with"] == {"persist-credentials": "false"}
    if changes:
        assert steps[3]["env"] == {"A": "on", "MLFLOW_TRACKING_TOKEN": "${{ secrets.MLFLOW_TRACKING_TOKEN }}"}
    broken = {**yaml.safe_load(text), "permissions": {"contents": "everything"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, json.loads(schema.read_text()))


@pytest.mark.parametrize("odd", ["y", "n", "on", "0123", "1e3", "null", "~", "a\\b", "{{ x }}"])
def test_a_cronjob_holds_to_kubernetes_schema_and_to_our_rules(tmp_path: Path, odd: str) -> None:
    made = written(
        tmp_path, "cronjob", "mlops", odd, secrets=("MLFLOW_TRACKING_TOKEN",), variables={"A": odd}
    )
    for text in made.values():
        resource = json.loads(text)
        assert yaml.safe_load(text) == resource
        kubernetes_validate.validate(resource, "1.33", strict=True)
    job = json.loads(made["retrain-flights.json"])
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["spec"]["timeZone"] == "Etc/UTC"
    assert croniter.is_valid(job["spec"]["schedule"])
    spec = job["spec"]["jobTemplate"]["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 14_400)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert pod["serviceAccountName"] == json.loads(made["serviceaccount.json"])["metadata"]["name"]
    (container,) = pod["containers"]
    guard = container["securityContext"]
    assert guard["runAsNonRoot"]
    assert guard["readOnlyRootFilesystem"]
    assert guard["allowPrivilegeEscalation"] is False
    assert guard["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]) == {"requests", "limits"}
    token = next(item for item in container["env"] if item["name"] == "MLFLOW_TRACKING_TOKEN")
    assert token["valueFrom"] == {"secretKeyRef": {"name": "retrain-flights", "key": "MLFLOW_TRACKING_TOKEN"}}
    assert container["command"] == ["mlops", odd]


# -- what is refused, and folders ------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"command": ("mlops", "a\nb")},
        {"command": ("mlops", "a\x00b")},
        {"command": ("mlops", "a\x85b")},
        {"command": ("mlops", "a\u2028b")},
        {"command": ()},
        {"name": "a\n  hostNetwork: true"},
        {"name": "../up"},
        {"name": "Big"},
        {"name": "a" * 53},
        {"variables": {"A\nB": "x"}},
        {"variables": {"A": "x\ny"}},
        {"secrets": ("A B",)},
        {"timeout": 0},
        {"when": "7h"},
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    given_ = {"command": ("/usr/bin/mlops",), "when": "6h", "name": "a", "image": IMAGE}
    project = at(tmp_path)
    with pytest.raises(UsageError):
        schedule.write(kind, Wanted(**{**given_, **changes}), project)
    assert list(project.root.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("github", {"command": ("mlops", "${{ secrets.X }}")}, "GitHub would evaluate"),
        ("github", {"when": "1m"}, "5 minutes"),
        ("kubeflow", {"command": ("mlops", "{{$.inputs}}")}, "Kubeflow would evaluate"),
        ("kubeflow", {"image": None}, "Which image"),
        ("cronjob", {"image": None}, "Which image"),
        ("cronjob", {"image": "a b"}, "container image"),
        ("systemd", {"command": ("mlops",)}, "absolute path"),
        ("windows", {}, "no scheduler named"),
    ],
)
def test_what_one_scheduler_cannot_say_is_refused(
    tmp_path: Path, kind: str, changes: dict[str, Any], message: str
) -> None:
    given_ = {"command": ("/usr/bin/mlops",), "when": "6h", "name": "a", "image": IMAGE}
    with pytest.raises(UsageError, match=message):
        schedule.write(kind, Wanted(**{**given_, **changes}), at(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_written_compared_kept_from_hands_and_removed(tmp_path: Path, kind: str) -> None:
    project, first = at(tmp_path), wanted()
    assert {item.what for item in schedule.differences(kind, first, project)} == {"added"}
    done = schedule.write(kind, first, project)
    assert done.folder == project.root / "schedule" / "retrain-flights" / kind
    assert done.then
    assert croniter.is_valid(done.cron)
    assert schedule.differences(kind, first, project) == ()
    assert schedule.write(kind, first, project) == done
    other = wanted(when="1d") if kind != "kubeflow" else wanted(image="b:2")
    assert {item.what for item in schedule.differences(kind, other, project)} == {"changed"}
    (done.folder / min(done.files)).write_text("by hand")
    with pytest.raises(RefusedError, match="changed by hand") as refused:
        schedule.write(kind, other, project)
    assert "say %mlops_retrain again" in refused.value.remedy
    with pytest.raises(RefusedError, match="holds what %mlops_retrain did not write"):
        schedule.write(kind, other, project, into=tmp_path)
    assert set(schedule.remove(kind, "retrain-flights", project)) == set(done.files)
    assert (done.folder / min(done.files)).read_text() == "by hand"
    with pytest.raises(NotFoundError, match="No schedule named"):
        schedule.remove(kind, "retrain-flights", project)


def test_a_name_is_made_of_any_models_name() -> None:
    assert slug("Flights EU_2") == "retrain-flights-eu-2"
    assert slug("___") == "retrain-model"
    assert len(slug("a" * 99)) == 52
