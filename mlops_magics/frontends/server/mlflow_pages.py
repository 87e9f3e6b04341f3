"""MLflow's own pages behind the Jupyter server: its login, its XSRF token and its host name guard them too.

MLflow's server knows no login. It listens on a socket that only this user may open, and each request comes
through here. Its pages are of this server's origin, so that whatever else it hands out, a file of a run above
all, is sandboxed by the browser.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson
from tornado import web
from tornado.httpclient import HTTPError, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from mlops_magics.foundation.sentences import Sentence, spoken
from mlops_magics.frontends.server.guard import Guard
from mlops_magics.frontends.server.mlflow_shelf import Shelf
from mlops_magics.tracking.pages import Pages

# What goes on to MLflow: no cookie, no token and no address of ours.
_ASKED: Final = ("Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "If-Modified-Since")
_ASKED_TOO: Final = ("If-None-Match", "Range")
_ANSWERED: Final = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
        "location",
        "vary",
    }
)
_AT_ONCE: Final = 64
_LARGEST: Final = 1 << 40  # a model may be of any size; it is never held whole
_WITHIN: Final = 300.0  # seconds, for a question to a slow database
_OWN: Final = re.compile(r"/mlops-magics/mlflow/[0-9a-f]+/(?:static-files/.*)?$")
_UNAVAILABLE: Final = 503
_EMPTY: Final = frozenset({204, 304})
# MLflow's page knows nothing of Jupyter's token against forged requests; it asks by fetch and XMLHttpRequest.
_TOKEN: Final = b"""<script>(() => {
const token = () => (document.cookie.match(/(?:^|; )_xsrf=([^;]*)/) || [])[1] || "";
const ours = (url) => new URL(url, location.href).origin === location.origin;
const ask = window.fetch;
window.fetch = (input, init) => {
  const request = new Request(input, init);
  if (ours(request.url) && request.method !== "GET") request.headers.set("X-XSRFToken", token());
  return ask(request);
};
const open = XMLHttpRequest.prototype.open, send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.open = function (method, url, ...rest) {
  this.mlopsToken = ours(url) && method.toUpperCase() !== "GET";
  return open.call(this, method, url, ...rest);
};
XMLHttpRequest.prototype.send = function (body) {
  if (this.mlopsToken) this.setRequestHeader("X-XSRFToken", token());
  return send.call(this, body);
};
})()</script>"""
_SAID: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MLflow</title>{again}'
    "<style>:root{{color-scheme:light dark}}body{{font:15px/1.5 system-ui,sans-serif;margin:15vh auto;"
    "max-width:36em;padding:0 1em}}</style></head><body><main><h1 data-said='{asked}'>{what}</h1>"
    "<p data-said='{then}'>{remedy}</p></main>{words}"
)
# This page is no program of ours that was given JupyterLab's words; the page that opened it was.
_WORDS: Final = """<script>(() => {
const said = (value) => typeof value === "string" ? value : words.__(...value["%"].map(said));
let words;
try {
  const around = window.parent === window ? window.opener : window.parent;
  words = around && around[Symbol.for("mlops-magics.words")];
  if (words) document.documentElement.lang = around.document.documentElement.lang || "en";
} catch { /* a page of another origin is around it */ }
if (!words) return;
for (const part of document.querySelectorAll("[data-said]")) {
  part.textContent = said(JSON.parse(part.dataset.said));
}
})()</script>"""

# A refresh by the page's head would only go to the place in the page that its address names.
_AGAIN: Final = "<script>setTimeout(() => location.reload(), 1000)</script>"


class _Socket(Resolver):
    """Resolves every name to one socket."""

    def initialize(self, path: str) -> None:
        """Keep where it is."""
        self._path = path

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:
        """Answer with the socket, whatever is asked."""
        del host, port, family
        return [(socket.AF_UNIX, self._path)]


class PagesHandler(Guard):
    """Hands a request on to MLflow, and its answer back."""

    def initialize(self, shelf: Shelf) -> None:
        """Keep what runs."""
        self._shelf = shelf

    def action(self) -> str:
        """Ask for ``write``: MLflow's pages change things, and only look by POST too."""
        return "write"

    @property
    def content_security_policy(self) -> str:
        """Let nothing act as this server's pages but MLflow's own: a file of a run may hold any script."""
        policy = str(super().content_security_policy)
        return policy if _OWN.search(self.request.path) else f"{policy}; sandbox"

    @web.authenticated
    async def get(self, key: str, path: str) -> None:
        """Hand on a question."""
        await self._handed_on(key, path)

    head = post = put = patch = delete = get

    async def _handed_on(self, key: str, path: str) -> None:
        pages = self._shelf.get(key)
        if pages is None:
            remedy = Sentence("Open them again from the MLOps panel.")
            return self._say(404, Sentence("These pages are closed."), remedy)
        client = SimpleAsyncHTTPClient(
            force_instance=True,
            resolver=_Socket(path=str(pages.socket)),
            max_clients=_AT_ONCE,
            max_body_size=_LARGEST,
        )
        try:
            if path:
                await self._stream(client)
            else:
                await self._page(client)
        except (OSError, HTTPError):
            self._absent(pages, page=not path)
        finally:
            client.close()
        return None

    async def _page(self, client: SimpleAsyncHTTPClient) -> None:
        """Answer with MLflow's page, which is told how to show Jupyter's token."""
        found = await client.fetch(self._request(whole=True), raise_error=False)
        self._begin(found.code, found.headers)
        self.clear_header("ETag")
        self.clear_header("Content-Length")
        await self.finish(found.body.replace(b"<head>", b"<head>" + _TOKEN, 1))

    async def _stream(self, client: SimpleAsyncHTTPClient) -> None:
        """Answer with a file or with data, piece by piece."""
        lines: list[str] = []

        async def piece(chunk: bytes) -> None:
            if lines:
                self._begin(*_parsed(lines))
                lines.clear()
            self.write(chunk)
            await self.flush()

        request = self._request()
        request.header_callback = lines.append
        request.streaming_callback = piece
        found = await client.fetch(request, raise_error=False)
        if lines:  # there was no body
            self._begin(found.code, found.headers)
        await self.finish()

    def _request(self, *, whole: bool = False) -> HTTPRequest:
        names = (name for name in (*_ASKED, *_ASKED_TOO) if name in self.request.headers)
        headers = {name: self.request.headers[name] for name in names}
        if whole:
            for name in ("Accept-Encoding", *_ASKED_TOO, "If-Modified-Since"):
                headers.pop(name, None)
        return HTTPRequest(
            f"http://localhost{self.request.uri}",
            str(self.request.method),
            HTTPHeaders(headers),
            self.request.body or None,
            allow_nonstandard_methods=True,
            decompress_response=False,
            follow_redirects=False,
            connect_timeout=_WITHIN,
            request_timeout=_WITHIN,
        )

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.set_status(status)
        for name, value in headers.items():
            if name.lower() in _ANSWERED:
                self.set_header(name, _here(value) if name.lower() == "location" else value)
        if status in _EMPTY or self.request.method == "HEAD":
            self.clear_header("Content-Length")

    def _absent(self, pages: Pages, *, page: bool) -> None:
        """Say that MLflow does not answer: not yet, or not any more."""
        if self._headers_written:  # half of an answer must not look like a whole one
            return self.detach().close()
        if pages.ended:
            self.log.error("MLflow's own pages have ended: %s", pages.told())
            failed = Sentence("MLflow could not show its pages.")
            return self._say(500, failed, Sentence("The Jupyter server's log says why."))
        remedy = Sentence("This takes some seconds the first time. This page looks again by itself.")
        return self._say(_UNAVAILABLE, Sentence("MLflow is starting…"), remedy, again=page)

    def _say(self, status: int, what: Sentence, remedy: Sentence, *, again: bool = False) -> None:
        refresh = _AGAIN if again else ""
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(
            _SAID.format(
                again=refresh,
                what=escape(what),
                asked=_for_the_page(what),
                remedy=escape(remedy),
                then=_for_the_page(remedy),
                words=_WORDS,
            )
        )


def _for_the_page(said: Sentence) -> str:
    """Write a sentence into an attribute, as what a page makes one of."""
    return escape(orjson.dumps(said, spoken, orjson.OPT_PASSTHROUGH_SUBCLASS).decode())


def _parsed(lines: list[str]) -> tuple[int, HTTPHeaders]:
    """Read the lines of an answer's head."""
    return int(lines[0].split()[1]), HTTPHeaders.parse("".join(lines[1:]))


def _here(location: str) -> str:
    """Let a redirection lead to this server, whatever name MLflow has for itself."""
    return urlunsplit(("", "", *urlsplit(location)[2:]))
