"""The routes of the Jupyter server extension. All refuse by default: what lets in stands in ``guard.py``."""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final

import orjson
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from mlops_magics.foundation.errors import (
    MLOpsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from mlops_magics.foundation.sentences import Sentence, spoken
from mlops_magics.foundation.version import VERSION
from mlops_magics.frontends.server.asked import Asked, Told
from mlops_magics.frontends.server.guard import Guard
from mlops_magics.frontends.server.mlflow_pages import PagesHandler
from mlops_magics.frontends.server.panel import Panel
from mlops_magics.road import magic_name

READS: Final = (
    "status",
    "experiments",
    "runs",
    "run",
    "cut",
    "models",
    "model",
    "details",
    "endpoints",
    "alerts",
)
WRITES: Final = ("promote", "roll_back", "approve", "reject", "comment", "deploy", "stop", "mlflow")
# A rule that says no is 409: 403 is for those who may not ask at all.
_STATUS: Final = {UsageError: 400, NotFoundError: 404, RefusedError: 409, UnavailableError: 503}
_STAMP: Final = "X-MLOps-Stamp"
_SMALL: Final = 2_000  # bytes: below, packing saves nothing
_PACKED: Final = 3  # quick rather than small: most pages are of this machine
_FAILED: Final = (
    Sentence("Something went wrong in the Jupyter server."),
    Sentence("Its log has the details; then try again."),
)


class DeniedByDefault(Guard, APIHandler):
    """A question or an act whose answer is JSON, from behind the guard."""

    _track_activity = False  # a panel that looks every few seconds must not keep an idle server alive

    async def done(self, pool: Executor, work: Callable[[], Told]) -> None:
        """Do the work in a thread, and answer with what comes of it, or with what is wrong and what to do."""
        packs = "gzip" in self.request.headers.get("Accept-Encoding", "")

        def worked() -> tuple[bytes, str, bool]:
            body, stamp = work()
            packed = packs and len(body) > _SMALL
            return gzip.compress(body, _PACKED, mtime=0) if packed else body, stamp, packed

        try:
            answer, stamp, packed = await asyncio.get_running_loop().run_in_executor(pool, worked)
        except MLOpsError as error:
            explained = error.explained(door=f"%{magic_name('status')}")
            self._wrong(_status(error), error.what, _with(error.remedy, explained))
        except Exception:
            # A page gets no detail: a trace may hold paths, addresses and secrets of the server.
            self.log.exception("The panel of mlops-magics failed.")
            self._wrong(500, *_FAILED)
        else:
            self.set_header("Cache-Control", "no-cache")
            self.set_header("Vary", "Accept-Encoding")
            if stamp:
                self.set_header(_STAMP, stamp)
            if packed:
                self.set_header("Content-Encoding", "gzip")
            await self.finish(answer)

    def _wrong(self, status: int, what: str, remedy: str) -> None:
        self.set_status(status)
        told = {"what": what, "remedy": remedy}
        self.finish(orjson.dumps(told, spoken, orjson.OPT_PASSTHROUGH_SUBCLASS))


class AboutHandler(DeniedByDefault):
    """Versions on the server's side: a kernel may run in another environment, and the page compares."""

    @web.authenticated
    def get(self) -> None:
        """Answer with our version and Python's."""
        python = ".".join(map(str, sys.version_info[:3]))
        self.finish({"mlops_magics": VERSION, "python": python})


class StampHandler(DeniedByDefault):
    """How things are, in a few characters: what a page asks every few seconds."""

    def initialize(self, panel: Panel) -> None:
        """Keep what answers."""
        self._panel = panel

    @web.authenticated
    async def get(self) -> None:
        """Answer with the stamp of a folder's project."""
        asked = Asked(_query(self))
        await self.done(self._panel.threads("stamp"), lambda: self._panel.stamp(asked))


class ReadHandler(DeniedByDefault):
    """A question. Tornado gives each answer an ETag, and says 304 to who has it."""

    def initialize(self, panel: Panel, name: str) -> None:
        """Keep what answers, and what is asked."""
        self._panel, self._name = panel, name

    @web.authenticated
    async def get(self) -> None:
        """Answer it."""
        asked = Asked(_query(self))
        await self.done(self._panel.threads(self._name), lambda: self._panel.read(self._name, asked))


class WriteHandler(DeniedByDefault):
    """An act: Jupyter asks for its XSRF token before it comes here."""

    _track_activity = True

    def initialize(self, panel: Panel, name: str) -> None:
        """Keep what acts, and what is to be done."""
        self._panel, self._name = panel, name

    @web.authenticated
    async def post(self) -> None:
        """Do it, and say how things stand then."""
        asked = Asked(_body(self.request.body))
        await self.done(self._panel.threads(self._name), lambda: self._panel.write(self._name, asked))


def routes(base_url: str, panel: Panel) -> list[tuple[str, Any, dict[str, Any]]]:
    """List the routes below the server's base address."""

    def at(name: str) -> str:
        return url_path_join(base_url, "mlops-magics", name)

    return [
        (at("about"), AboutHandler, {}),
        (at("stamp"), StampHandler, {"panel": panel}),
        *((at(name), ReadHandler, {"panel": panel, "name": name}) for name in READS),
        *((at(name), WriteHandler, {"panel": panel, "name": name}) for name in WRITES),
        (at(r"mlflow/([0-9a-f]+)/(.*)"), PagesHandler, {"shelf": panel.shelf}),
    ]


def _query(handler: APIHandler) -> Mapping[str, object]:
    """Take the words of an address; that by which a browser's cache is passed by is none."""
    names = (name for name in handler.request.query_arguments if name.isalpha())
    return {name: handler.get_query_argument(name) for name in names if name != "token"}


def _body(body: bytes) -> Mapping[str, object]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        sent = None
    return sent if isinstance(sent, dict) else {}


def _with(remedy: str, explained: str) -> str:
    """Put where it is explained behind a remedy, which a page may still say in another language."""
    return Sentence("%1 %2", remedy, explained) if explained else remedy


def _status(error: MLOpsError) -> int:
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
