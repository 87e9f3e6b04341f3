"""A worker's server with one part left out or one more put in: ``parts_app.py MODEL FOLDER PORT VARIANT TOKEN``."""

import asyncio
import gc
import hashlib
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import uvloop
import yaml

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.guard import Certificate
from mlops_magics.artifact.loading import load
from mlops_magics.artifact.order import Beside, JournalOrder, Limits
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.front import Front
from mlops_magics.serving.identity import Identity
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.journal.sheets import Group
from mlops_magics.serving.metrics import Metrics
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.terms import Terms


class Nobody(Access):
    """Lets everybody pass."""

    def check(self, *told, **named) -> None:
        """Look at nothing."""


class Uncounted(Metrics):
    """Counts nothing."""

    def count(self, route: str, status: int) -> None:
        """Forget it."""

    def predicted(self, rows: int, seconds: float) -> None:
        """Forget it."""


class Trusting(Predictor):
    """Reads the JSON, and takes for granted that it is the one row that it has seen before."""

    seen: Batch | None = None

    def decode(self, body: bytes, content_type: str | None) -> Batch:
        """Answer with that row's types."""
        if self.seen is None:
            self.seen = super().decode(body, content_type)
            return self.seen
        orjson.loads(body)
        return replace(self.seen)


class Switched(Journal):
    """Notes nothing while it is switched off, which SIGUSR1 does, and on again."""

    on = True

    def switch(self) -> None:
        """Change it."""
        self.on = not self.on

    def note(self, group: Group) -> None:
        """Note what was answered, where it is on."""
        if self.on:
            super().note(group)


def predictor(model: Path, kind: type[Predictor] = Predictor) -> Predictor:
    """Load a model as a worker does."""
    made = kind(load(model))
    made.compile()
    made.warm()
    return made


def contract(model: Path) -> Contract:
    """Make a rule for each column that the model takes: that it is there, and how large it may be."""
    columns = yaml.safe_load((model / "MLmodel").read_text())["signature"]["inputs"]
    rules = [
        ColumnRule(one["name"], "text", nullable=0.0, lengths=(1, 40))
        if one["type"] == "string"
        else ColumnRule(one["name"], "number", nullable=0.0, minimum=-1e6, maximum=1e6)
        for one in orjson.loads(columns)
    ]
    return Contract("bench", tuple(rules))


def application(model: Path, folder: Path, variant: str, token: str) -> App:
    """Build what the variant names."""
    kind = Nobody if variant == "no token" else Access
    access = kind(hashlib.sha256(token.encode()).hexdigest(), ["127.0.0.1"])
    beside = None
    if variant in {"a canary of 10 %", "a shadow"}:
        role = "shadow" if variant == "a shadow" else "canary"
        order = Beside(role=role, percent=10.0, model_path=model, version="2", digest="")
        beside = (predictor(model), order)
    journal = None if variant == "no journal" else Switched(JournalOrder(folder=folder / "journal"))
    made = build_app(
        predictor(model, Trusting if variant == "no check of values" else Predictor),
        access,
        limits=Limits(),
        model="bench",
        version="1",
        name="bench",
        journal=journal,
        beside=beside,
        terms=Terms(contract(model)) if variant == "a contract" else None,
    )
    if variant == "no metrics":
        made._metrics = made._answering._metrics = Uncounted("bench", "bench", "1")
    return made


async def serve(app: App, port: int, identity: Identity | None) -> None:
    """Answer until told to end."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    journal = app._answering._journal
    if isinstance(journal, Switched):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, journal.switch)
    front = Front(app, identity)
    await front.start()
    with socket.create_server(("127.0.0.1", port), backlog=1024) as sock:
        await front.accept(sock)
        await end.wait()
        await front.drain(linger=0, seconds=5)


def main(model: Path, folder: Path, port: int, variant: str, token: str) -> None:
    """Serve."""
    identity = None
    if variant == "TLS":
        identity = Identity(Certificate(file=folder / "certificate.pem", private_key=folder / "key.pem"))
    app = application(model, folder, variant, token)
    sys.setswitchinterval(0.0005)  # this and the next lines as a worker has them
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app, port, identity))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:6])
