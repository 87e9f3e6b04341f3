"""The compose file and the manifests for a team, as far as they can be judged without Docker or a cluster."""

from __future__ import annotations

import importlib
import json
import re
from configparser import ConfigParser
from typing import Any

import pytest
import yaml
from pages import ROOT

FOLDER = ROOT / "docs" / "team"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = {
    item["kind"]: item
    for item in json.loads((FOLDER / "kubernetes.json").read_text(encoding="utf-8"))["items"]
}
POD = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
STORE = COMPOSE["services"]["store"]
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
COMMANDS = pytest.mark.parametrize(
    "command", [STORE["command"], CONTAINER["command"]], ids=["compose", "kubernetes"]
)
# Both are of MLflow's own imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated"),
    pytest.mark.filterwarnings("ignore:.*MLflow doesn't validate:UserWarning"),
]
SECRET = re.compile("PASSW|SECRET|_KEY")
_FULL = re.compile(r"[a-z/.-]+:\d+\.\d+(\.\d+)?-[a-z-]+")  # a version to its last part, and what it stands on


@COMMANDS
def test_the_server_of_the_installed_version_takes_each_flag_with_its_value(command: list[str]) -> None:
    from mlflow.cli import server

    program, verb, *words = command
    assert (program, verb) == ("mlflow", "server")
    told = server.make_context(
        verb, list(words)
    ).params  # refuses what is no flag, and what is no value of one
    assert (told["app_name"], told["port"], told["workers"]) == ("basic-auth", 5000, "2")
    assert told["backend_store_uri"].startswith("postgresql+psycopg://mlflow@")
    assert told["artifacts_destination"].startswith("s3://")
    assert told["serve_artifacts"]
    with pytest.raises(SystemExit):
        server.main([*words, "--no-such-flag"], prog_name=verb)


def _read() -> set[str]:
    """Name the variables that are read: by MLflow, by PostgreSQL's client, by the client of the bucket."""
    import mlflow.environment_variables as theirs
    import psycopg
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
    from botocore.credentials import EnvProvider

    names = {str(value.name) for value in vars(theirs).values() if hasattr(value, "name")}
    names |= {told.envvar.decode() for told in psycopg.pq.Conninfo.get_defaults() if told.envvar}
    region = BOTOCORE_DEFAUT_SESSION_VARIABLES["region"][1]
    return names | {EnvProvider.ACCESS_KEY, EnvProvider.SECRET_KEY, region}


def test_each_variable_is_read_by_who_is_meant() -> None:
    read = _read()
    assert "MLFLOW_NOT_THERE" not in read
    assert set(STORE["environment"]) - read == set()
    assert {one["name"] for one in CONTAINER["env"]} - read == {"HOME"}


def test_what_is_run_is_pinned_to_what_was_tried() -> None:
    images = [
        COMPOSE["services"]["database"]["image"],
        *re.findall(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE),
    ]
    assert len(images) == 2
    assert [image for image in images if not _FULL.fullmatch(image)] == []
    assert (
        CONTAINER["image"] == "registry.example.com/mlops-store:1"
    )  # the user's own, made of that Dockerfile
    pinned = dict(re.findall(r"'([\w-]+)(?:\[\w+\])?==([\d.]+)'", DOCKERFILE))
    assert set(pinned) == {"mlflow", "psycopg", "boto3", "flask-wtf"}
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert pinned == {name: _pin(name, constraints) for name in pinned}
    assert ">=" not in DOCKERFILE


def _pin(name: str, constraints: str) -> str:
    found = re.search(rf"^{name}==([\d.]+)", constraints, re.MULTILINE)
    assert found is not None
    return found[1]


def test_nothing_listens_beyond_loopback_but_behind_what_ends_tls() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert not {"network_mode", "privileged", "expose"} & set(service)
    assert "ports" not in COMPOSE["services"]["database"]
    assert KUBERNETES["Service"]["spec"].get("type", "ClusterIP") == "ClusterIP"
    assert not POD.get("hostNetwork")
    assert all("hostPort" not in port for port in CONTAINER["ports"])
    ingress = KUBERNETES["Ingress"]["spec"]
    hosts = {rule["host"] for rule in ingress["rules"]}
    assert hosts == {host for part in ingress["tls"] for host in part["hosts"]}
    assert hosts == set(_told("MLFLOW_SERVER_ALLOWED_HOSTS").split(","))
    policy = KUBERNETES["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    (rule,) = policy["ingress"]
    assert [each["port"] for each in rule["ports"]] == [5000]
    assert all("namespaceSelector" in each for each in rule["from"])  # that of what ends TLS, no other


def _told(name: str) -> str:
    return next(str(one["value"]) for one in CONTAINER["env"] if one["name"] == name)


def test_no_secret_is_written_down() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service["environment"].items():
            if SECRET.search(name):
                assert re.fullmatch(r"\$\{[A-Z0-9_]+:\?\}", value), name
    for one in CONTAINER["env"]:
        assert ("valueFrom" in one) == bool(SECRET.search(one["name"])), one["name"]
        assert set(one.get("valueFrom", {"secretKeyRef": 0})) == {"secretKeyRef"}
    address = re.compile(r"://[^/\s:@]+:[^/\s@]+@")  # a password within an address
    for path in FOLDER.iterdir():
        assert not address.search(path.read_text(encoding="utf-8")), path
    assert not re.search(r"^(?:ENV|ARG)\b", DOCKERFILE, re.MULTILINE)


def test_the_variables_of_the_compose_file_are_named_at_its_head() -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    named = set(
        re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b", re.findall(r"^#   (.*)$", text, re.MULTILINE)[0])
    )
    assert named == set(re.findall(r"\$\{([A-Z0-9_]+):\?\}", text))
    assert len(re.findall(r"\$\{", text)) == len(
        re.findall(r"\$\{[A-Z0-9_]+:\?\}", text)
    )  # none may be empty


def test_the_settings_of_users_are_those_that_the_installed_version_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.server.auth.config import AuthConfig, read_auth_config

    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(FOLDER / "auth.ini"))
    written = ConfigParser()
    written.read(FOLDER / "auth.ini")
    assert set(written["mlflow"]) <= set(AuthConfig._fields)
    told = read_auth_config()
    assert (told.default_permission, told.admin_password) == ("READ", None)
    assert told.database_uri in STORE["command"][-2]
    module, _, function = told.authorization_function.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_image_and_those_who_start_it_agree() -> None:
    copied = re.search(r"^COPY (\S+) (\S+)$", DOCKERFILE, re.MULTILINE)
    assert copied is not None
    assert (FOLDER / copied[1]).is_file()
    assert STORE["environment"]["MLFLOW_AUTH_CONFIG_PATH"] == copied[2] == _told("MLFLOW_AUTH_CONFIG_PATH")
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert int(user[1]) == CONTAINER["securityContext"]["runAsUser"] == POD["securityContext"]["fsGroup"]
    assert STORE["build"] == "."
    assert CONTAINER["workingDir"] == _home() == CONTAINER["volumeMounts"][0]["mountPath"]
    ports: list[Any] = [
        probe["httpGet"]["port"] for name, probe in CONTAINER.items() if name.endswith("Probe")
    ]
    assert ports == [5000] * 3


def _home() -> str:
    found = re.search(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_probe_is_answered_to_who_names_no_host_and_no_user() -> None:
    from mlflow.server.auth import is_unprotected_route
    from mlflow.server.security_utils import HEALTH_ENDPOINTS

    for name, probe in CONTAINER.items():
        if name.endswith("Probe"):
            assert probe["httpGet"]["path"] in HEALTH_ENDPOINTS
            assert is_unprotected_route(probe["httpGet"]["path"])
