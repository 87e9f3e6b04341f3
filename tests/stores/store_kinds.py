"""Each store that a notebook can be sent to, with something before it that fails when it is told to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from proxy import Proxy
from servers import S3, Postgres, mlflow_on, postgres, s3

TEMPLATE = "template_with_tables"


@dataclass
class Place:
    """A store.

    Attributes:
        uri: Its address, as the notebook is told.
        artifacts: Where files are said to go; None where the store decides.
        environment: What a client of it needs.
        parts: What may fail, by name.
        holds: Lists the files that are there of a run or a model, by its id.
    """

    uri: str
    holds: Callable[[str], list[str]]
    artifacts: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Proxy] = field(default_factory=dict)

    @property
    def client(self) -> MlflowClient:
        """MLflow's own client, to look at what is there."""
        return MlflowClient(self.uri, self.uri)

    def runs(self, experiment: str) -> dict[str, Any]:
        """Read the runs of an experiment by name, none of which may be there twice."""
        found = self.client.get_experiment_by_name(experiment)
        assert found is not None
        runs = self.client.search_runs([found.experiment_id])
        named = {str(run.info.run_name): run for run in runs}
        assert len(named) == len(runs), "a run was doubled"
        return named


class Servers:
    """The servers of a session, each started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def postgres(self) -> Postgres:
        return self.once("postgres", lambda: _with_tables(self.stack.enter_context(postgres())))

    def s3(self) -> S3:
        return self.once("s3", lambda: self.stack.enter_context(s3(self.room("s3"))))

    def proxy(self, name: str, target: str) -> Proxy:
        """Put something that fails before a server; what is still in it ends with the session."""

        def make() -> Proxy:
            made = Proxy(target)
            self.stack.callback(made.close)
            return made

        proxy: Proxy = self.once(f"proxy of {name}", make)
        proxy.turn("pass")
        return proxy

    def mlflow(self, name: str, backend: str, *options: str, environment: dict[str, str]) -> str:
        started = mlflow_on(self.room(name), backend, *options, environment=environment)
        return str(self.once(name, lambda: self.stack.enter_context(started)))

    def room(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder


def _with_tables(server: Postgres) -> Postgres:
    """Make MLflow's tables once: a copy of a database takes no time."""
    from mlflow.store.db.utils import _safe_initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(server.create(TEMPLATE))
    _safe_initialize_tables(engine)
    engine.dispose()  # a database that somebody is in cannot be copied
    return server


def _sqlite(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    assert stack
    file: Path = request.getfixturevalue("store_file")
    return Place(f"sqlite:///{file}", _below(file.parent / "mlartifacts"))


def _sqlite_s3(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """A SQLite file whose experiments keep their files in a bucket."""
    made = _sqlite(request, stack)
    return _on_s3(request.getfixturevalue("servers"), made, "sqlite")


def _server(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """A server that hands files on to a folder of its own."""
    assert stack
    url: str = request.getfixturevalue("mlflow_server")
    proxy = request.getfixturevalue("servers").proxy("the server", url)
    return Place(proxy.url, _asked_of(url), parts={"server": proxy})


def _server_all(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """A server on PostgreSQL that hands files on to a bucket: what a team runs."""
    assert stack
    servers: Servers = request.getfixturevalue("servers")
    bucket, database = servers.s3(), servers.postgres()
    records = servers.proxy("its database", f"tcp://127.0.0.1:{database.port}")
    files = servers.proxy("its bucket", bucket.url)
    name = "team"
    backend = servers.once("its tables", lambda: database.create(name, TEMPLATE)) and database.url(
        name, records.port
    )
    root = servers.once("its root", lambda: bucket.bucket(name))
    url = servers.mlflow(
        name,
        backend,
        "--artifacts-destination",
        f"{root}/files",
        environment=bucket.environment | {"MLFLOW_S3_ENDPOINT_URL": files.url},
    )
    front = servers.proxy("the team's server", url)
    return Place(
        front.url, _in_bucket(bucket, name), parts={"server": front, "database": records, "bucket": files}
    )


def _server_direct(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """A server that hands no files on: clients write into the bucket themselves."""
    assert stack
    servers: Servers = request.getfixturevalue("servers")
    bucket = servers.s3()
    root = servers.once("direct root", lambda: bucket.bucket("direct"))
    backend = f"sqlite:///{servers.room('direct')}/mlflow.db"
    options = ("--no-serve-artifacts", "--default-artifact-root", f"{root}/files")
    url = servers.mlflow("direct", backend, *options, environment=bucket.environment)
    front, files = servers.proxy("direct server", url), servers.proxy("direct bucket", bucket.url)
    return Place(
        front.url,
        _in_bucket(bucket, "direct"),
        environment=bucket.environment | {"MLFLOW_S3_ENDPOINT_URL": files.url},
        parts={"server": front, "bucket": files},
    )


def _server_folder(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """A server that hands no files on: clients write into a folder that all of them see."""
    assert stack
    servers: Servers = request.getfixturevalue("servers")
    room = servers.room("folder")
    options = ("--no-serve-artifacts", "--default-artifact-root", str(room / "files"))
    url = servers.mlflow("folder", f"sqlite:///{room}/mlflow.db", *options, environment={})
    front = servers.proxy("folder server", url)
    return Place(front.url, _below(room / "files"), parts={"server": front})


def _postgres(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """PostgreSQL itself, the files in the project."""
    servers: Servers = request.getfixturevalue("servers")
    server = servers.postgres()
    name = f"d{uuid.uuid4().hex[:8]}"
    server.create(name, TEMPLATE)
    stack.callback(server.drop, name)
    proxy = servers.proxy("postgres", f"tcp://127.0.0.1:{server.port}")
    project: Path = request.getfixturevalue("project")
    return Place(server.url(name, proxy.port), _below(project / "mlartifacts"), parts={"database": proxy})


def _postgres_s3(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    """PostgreSQL itself, the files in a bucket: shared by all without a server."""
    made = _postgres(request, stack)
    return _on_s3(request.getfixturevalue("servers"), made, "postgres")


def _on_s3(servers: Servers, made: Place, name: str) -> Place:
    bucket = servers.s3()
    root = servers.once(f"root of {name}", lambda: bucket.bucket(name))
    files = servers.proxy("bucket", bucket.url)
    made.artifacts = f"{root}/files"
    made.environment = bucket.environment | {"MLFLOW_S3_ENDPOINT_URL": files.url}
    made.holds = _in_bucket(bucket, name)
    made.parts["bucket"] = files
    return made


MAKERS: dict[str, Callable[[pytest.FixtureRequest, ExitStack], Place]] = {
    "sqlite": _sqlite,
    "server": _server,
    "sqlite, files on s3": _sqlite_s3,
    "postgresql": _postgres,
    "postgresql, files on s3": _postgres_s3,
    "server on postgresql and s3": _server_all,
    "server, files on s3 by clients": _server_direct,
    "server, files in a folder by clients": _server_folder,
}
PLAIN = ("sqlite", "server")  # the others need PostgreSQL or S3, and minutes


def stores(*names: str, plain: tuple[str, ...] = PLAIN) -> pytest.MarkDecorator:
    """Run a test on these stores, by default on all; those that are not plain are slow."""
    chosen = [
        pytest.param(name, marks=() if name in plain else pytest.mark.slow, id=name.replace(", ", "-"))
        for name in names or MAKERS
    ]
    return pytest.mark.parametrize("place", chosen, indirect=True)


def _below(folder: Path) -> Callable[[str], list[str]]:
    return lambda owner: [str(path) for path in folder.rglob("*") if path.is_file() and owner in str(path)]


def _in_bucket(server: S3, name: str) -> Callable[[str], list[str]]:
    return lambda owner: [key for key in server.keys(name) if owner in key]


def _asked_of(url: str) -> Callable[[str], list[str]]:
    """Ask a server for the files of a run, or of a model."""

    def asked(owner: str) -> list[str]:
        client = MlflowClient(url, url)
        listed = client.list_logged_model_artifacts if owner.startswith("m-") else client.list_artifacts
        return [item.path for item in listed(owner)]

    return asked
