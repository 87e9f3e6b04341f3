"""The page for teams, done by its three people on the server that its own compose file starts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pages import ROOT, Block, blocks, walk
from places import project_in, shell_in
from servers import S3, Postgres, free_port, postgres, s3, signed_in, started

from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote import promote
from mlops_magics.steps.why import why
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

PAGE = ROOT / "docs" / "team.md"
FOLDER = ROOT / "docs" / "team"
WORDS = {name: f"{name}s-own-word-1" for name in ("admin", "ann", "bob")}
SECTIONS = {
    "The people": "admin",
    "Ann trains": "ann",
    "The administrator says who decides": "admin",
    "Ann asks": "ann",
    "Bob decides": "bob",
    "Anybody asks why": "ann",
}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
            return True
    except OSError:
        return False


@contextlib.contextmanager
def composed(folder: Path, database: Postgres, bucket: S3) -> Iterator[str]:
    """Start what the compose file says, on a database and a bucket that are at hand; yield its address."""
    port = free_port()
    values = {
        "DATABASE_PASSWORD": database.password,
        "ADMIN_PASSWORD": WORDS["admin"],
        "SERVER_SECRET": secrets.token_hex(16),
        "HOSTS": f"127.0.0.1:{port}",
        "S3_ENDPOINT": bucket.url,
        "S3_BUCKET": bucket.bucket("mlflow").removeprefix("s3://"),
        "S3_KEY": bucket.environment["AWS_ACCESS_KEY_ID"],
        "S3_SECRET": bucket.environment["AWS_SECRET_ACCESS_KEY"],
    }
    database.create("mlflow")

    def here(text: str) -> str:
        told = re.sub(r"\$\{(\w+):\?\}", lambda match: values[match[1]], text)
        told = told.replace("mlflow@database:5432", f"mlops@127.0.0.1:{database.port}")
        return told.replace("--port=5000", f"--port={port}").replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - taken away

    told = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]["store"]
    (folder / "auth.ini").write_text(here((FOLDER / "auth.ini").read_text(encoding="utf-8")))
    environment = {name: here(value) for name, value in told["environment"].items()}
    environment["MLFLOW_AUTH_CONFIG_PATH"] = str(folder / "auth.ini")
    command = [here(word) for word in told["command"]]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    url = f"http://127.0.0.1:{port}"
    with started(
        command,
        lambda: _answers(f"{url}/health"),
        folder / "log",
        cwd=folder,
        env=os.environ | environment,
    ):
        yield url


class Team:
    """Three people with a shell each, on machines of their own as far as their state goes."""

    def __init__(self, parent: Path, stack: contextlib.ExitStack, run: Callable[[Any, str], Any]) -> None:
        self._parent, self._run = parent, run
        self._shells = {}
        for name in WORDS:
            (parent / name).mkdir()
            self._shells[name] = stack.enter_context(shell_in(parent / name))
        self._shells["admin"].user_ns["words"] = WORDS

    @contextlib.contextmanager
    def being(self, name: str) -> Iterator[Any]:
        """Be one of them: signed in, and with their own state folder."""
        with signed_in(name, WORDS[name]), pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLOPS_STATE", str(self._parent / name / "state"))
            patch.setenv("MLOPS_STANDBY", "false")
            yield self._shells[name]

    def section(self, heading: str, **names: object) -> list[Any]:
        """Do a section of the page as the one that it is for."""
        with self.being(SECTIONS[heading]) as shell:
            shell.user_ns.update(names)
            wanted: Callable[[Block], bool] = lambda block: block.heading == heading  # noqa: E731 - one use
            return list(walk(PAGE, shell, self._run, Path.cwd(), wanted=wanted).values())


@pytest.fixture
def at(tmp_path: Path, run: Callable[[Any, str], Any]) -> Iterator[tuple[Team, str, Postgres, S3]]:
    server = tmp_path / "server"
    server.mkdir()
    with (
        contextlib.ExitStack() as stack,
        postgres() as database,
        s3(server) as bucket,
        composed(server, database, bucket) as url,
        project_in(tmp_path),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_URI", url)
        yield Team(tmp_path, stack, run), url, database, bucket


def test_each_section_has_somebody() -> None:
    assert set(SECTIONS) == {
        block.heading for block in blocks(PAGE) if block.language == "python" or block.file
    }


@pytest.mark.slow
def test_two_people_carry_a_model_to_champion_and_the_history_names_both(
    at: tuple[Team, str, Postgres, S3],
) -> None:
    team, url, database, bucket = at
    team.section("The people", address=url)
    *_, made = team.section("Ann trains")
    assert (made.model, made.version) == ("rain", "1")
    assert bucket.keys("mlflow"), "the server hands files on to the bucket"
    team.section("The administrator says who decides")
    *_, said = team.section("Ann asks")
    assert (said.who, said.verified) == ("ann", True)
    with team.being("ann"):
        with pytest.raises(RefusedError, match="lets bob promote, not ann"):
            promote("rain", to="champion", reason="mine is good")
        with pytest.raises(RefusedError, match="mlops-policy/rain"):
            promote("rain", policy=Path("policy.toml"))
        assert "champion" not in registry.aliases_of(open_store(Settings.discover()), "rain")
    _own_approval_does_not_count(team)
    team.section("The administrator says who decides")  # another policy in place of that one
    *_, promoted = team.section("Bob decides")
    assert (promoted.version, promoted.who, promoted.verified) == ("1", "bob", True)
    seen = Path("review.html").read_text(encoding="utf-8")
    assert "Bob, please look at days of low pressure" in seen
    with team.being("bob") as shell:
        assert {row.name for row in shell.user_ns["seen"].rows} == {"pressure"}
    (asked,) = team.section("Anybody asks why")
    assert "ann" in str(asked)
    assert "bob" in str(asked)
    with team.being("ann"):
        moves = registry.moves_of(open_store(Settings.discover()), "rain")
        told = [(move.kind, move.who, move.verified) for move in moves]
        assert told == [("registration", "ann", True), ("comment", "ann", True), ("promotion", "bob", True)]
        assert why("rain@champion").to_dict()
    _backed_up(database)


def _own_approval_does_not_count(team: Team) -> None:
    """What the page says of approvals = 1: it is somebody else's."""
    policy = Path("four_eyes.toml")
    policy.write_text('approvals = 1\napprovers = ["ann", "bob"]\npromoters = ["bob"]\n')
    with team.being("admin"):
        promote("rain", policy=policy)
    with team.being("bob"):
        promote("rain", version="1", reason="I like it", approve=True)
        review = promote("rain", version="1")
        (gate,) = [gate for gate in review.gates if gate.name == "approvals"]
        assert (gate.outcome, gate.value) == ("fail", 0)
    with team.being("ann"):
        promote("rain", version="1", reason="it is mine, and it holds", approve=True)
    with team.being("bob"):
        (gate,) = [gate for gate in promote("rain", version="1").gates if gate.name == "approvals"]
        assert gate.outcome == "pass"


def _backed_up(database: Postgres) -> None:
    """Do the page's backup, and look into what it brings back."""
    environment = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(database.port),
        "PGUSER": "mlops",
        "PGPASSWORD": database.password,
        "PATH": os.pathsep.join((str(database.programs), os.environ["PATH"])),
    }
    wanted: Callable[[Block], bool] = lambda block: block.language == "shell"  # noqa: E731 - one use
    walk(PAGE, None, lambda *_: None, Path.cwd(), wanted=wanted, environment=environment)
    with psycopg.connect(database.url("restored")) as restored:
        found = restored.execute("select name from registered_models").fetchall()
        users = restored.execute("select username from users").fetchall()
    assert found == [("rain",)]
    assert {name for (name,) in users} == set(WORDS)


def test_the_compose_file_keeps_to_the_schema_of_compose() -> None:
    from check_jsonschema import main

    words = ["--builtin-schema", "vendor.compose-spec", str(FOLDER / "compose.yaml")]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in {0, None}


def test_the_manifests_keep_to_the_schemas_of_kubernetes_and_write_no_secret() -> None:
    import kubernetes_validate

    items = json.loads((FOLDER / "kubernetes.json").read_text(encoding="utf-8"))["items"]
    for item in items:
        kubernetes_validate.validate(item, "1.33", strict=True)
    kinds = {item["kind"]: item for item in items}
    pod = kinds["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (container,) = pod["spec"]["containers"]
    composed = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]["store"]
    told = {one["name"]: one for one in container["env"]}
    assert set(composed["environment"]) <= set(told)
    assert [word.split("=")[0] for word in container["command"]] == [
        word.split("=")[0] for word in composed["command"]
    ]
    hidden = {name for name, one in told.items() if "valueFrom" in one}
    assert {name for name in told if re.search("PASSW|SECRET|ACCESS_KEY", name)} == hidden
    guard = container["securityContext"]
    assert guard["readOnlyRootFilesystem"]
    assert guard["runAsNonRoot"]
    assert not guard["allowPrivilegeEscalation"]
