"""Servers for the length of a ``with`` block: MLflow's, PostgreSQL, S3; on loopback, and gone afterwards."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 120.0
# Read before any test begins: a project of its own starts without such settings.
_REQUIRED = os.environ.get("CI") == "true" or os.environ.get("MLOPS_REQUIRE_STORES") == "1"


def missing(words: str) -> None:
    """Skip on a developer's machine; in CI, or where stores are required, a test that cannot run fails."""
    if _REQUIRED:
        pytest.fail(words)
    pytest.skip(words)


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def started(
    command: list[str],
    ready: Callable[[], bool],
    log: Path,
    *,
    stop: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> Iterator[None]:
    """Start a process in a group of its own, wait until it is ready, and end the whole group."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, **options)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not ready():
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@contextlib.contextmanager
def mlflow_on(
    folder: Path, backend: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start an MLflow server, without its job runners, which outlive it; yield its address.

    Args:
        folder: Where its log is.
        backend: The address of its database.
        *options: What else it is told: where files go.
        environment: What else its environment holds.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", backend, *options]
    whole = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | dict(environment or {})
    with started(command, lambda: _answers(f"{url}/health"), folder / "log", cwd=folder, env=whole):
        yield url


ADMIN = ("admin", "the-admins-own-word")


@contextlib.contextmanager
def mlflow_with_users(folder: Path, users: Mapping[str, str]) -> Iterator[str]:
    """Start an MLflow server that asks who one is; yield its address.

    Args:
        folder: Where its files are.
        users: Passwords by user; ``ADMIN`` is there besides. Who has no permission of a thing may read it.
    """
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {ADMIN[0]}\nadmin_password = {ADMIN[1]}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n"  # hashing a password at each request takes most of the time
    )
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
    options = ("--app-name", "basic-auth", "--artifacts-destination", str(folder / "files"))
    with mlflow_on(folder, f"sqlite:///{folder}/m.db", *options, environment=environment) as url:
        for name, password in users.items():
            _create_user(url, name, password)
        yield url


def _create_user(url: str, name: str, password: str) -> None:
    proof = base64.b64encode(":".join(ADMIN).encode()).decode()
    asked = urllib.request.Request(  # noqa: S310 - our own server
        f"{url}/api/2.0/mlflow/users/create",
        json.dumps({"username": name, "password": password}).encode(),
        {"Authorization": f"Basic {proof}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(asked, timeout=30).close()  # noqa: S310 - our own server


@contextlib.contextmanager
def signed_in(name: str, password: str) -> Iterator[None]:
    """Be a user of an MLflow server for the length of a ``with`` block."""
    told = {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}
    before = {key: os.environ.get(key) for key in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


class Postgres:
    """A PostgreSQL cluster of its own, in a folder of its own, with a password.

    It refuses to run as root, so root hands it to the user that Debian makes for it.
    """

    def __init__(self) -> None:
        self.programs = _postgres_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's own folders are closed to other users
        self.port = free_port()
        self.password = secrets.token_hex(12)
        self._as: dict[str, Any] = {}
        self._running = contextlib.ExitStack()
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def make(self) -> None:
        words = self.folder / "password"
        words.write_text(self.password)
        if self._as:
            os.chown(words, self._as["user"], self._as["group"])
        subprocess.run(
            [
                self.programs / "initdb",
                *("-D", self.folder / "data", "-U", "mlops", "--auth=scram-sha-256"),
                *(f"--pwfile={words}", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._as,
        )

    def start(self) -> None:
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-F"]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder)]
        # SIGINT ends open connections; SIGTERM would wait for them.
        ending = signal.SIGINT
        self._running.enter_context(
            started(command, self.ready, self.folder / "log", stop=ending, cwd=self.folder, **self._as)
        )

    def stop(self) -> None:
        self._running.close()

    def ready(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://mlops:{self.password}@127.0.0.1:{port or self.port}/{database}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database, as a copy of another one; return its address."""
        self._say(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        self._say(f'DROP DATABASE "{database}" WITH (FORCE)')

    def _say(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL of its own; its folder is gone afterwards."""
    made = Postgres()
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder)


def _postgres_programs() -> Path:
    """Find the folder of initdb and postgres, the newest where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    missing("No PostgreSQL. Install it with: apt-get install postgresql")
    raise AssertionError


class S3:
    """A real S3 API; it knows one key, and refuses any other.

    Attributes:
        url: Its address.
        environment: What a client of it needs.
    """

    FIRST = 3  # requests that are answered without a known key: those of admit

    def __init__(self, url: str) -> None:
        self.url = url
        self.environment = {
            "MLFLOW_S3_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, service: str, **keys: str) -> Any:
        import boto3

        given = {"aws_access_key_id": "first", "aws_secret_access_key": "first"} | keys
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **given)

    def admit(self) -> None:
        """Make the one key, and from now on refuse any other."""
        iam = self.client("iam")
        iam.create_user(UserName="mlops")
        rule = (
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        )
        iam.put_user_policy(UserName="mlops", PolicyName="files", PolicyDocument=rule)
        key = iam.create_access_key(UserName="mlops")["AccessKey"]
        self.environment["AWS_ACCESS_KEY_ID"] = key["AccessKeyId"]
        self.environment["AWS_SECRET_ACCESS_KEY"] = key["SecretAccessKey"]

    def _own(self) -> Any:
        keys = {name.lower(): self.environment[name] for name in self.environment if "KEY" in name}
        return self.client("s3", **keys)

    def bucket(self, name: str) -> str:
        """Make a bucket; return its address."""
        self._own().create_bucket(Bucket=name)
        return f"s3://{name}"

    def keys(self, bucket: str) -> list[str]:
        """List what a bucket holds."""
        pages = self._own().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """Run moto's S3 server, which keeps all in memory."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(S3.FIRST)}
    with started(
        command, lambda: _answers(f"{url}/moto-api/data.json"), folder / "log", cwd=folder, env=environment
    ):
        made = S3(url)
        made.admit()
        yield made


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
            return True
    except OSError:
        return False
