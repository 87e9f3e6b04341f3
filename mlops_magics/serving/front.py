"""A worker's network side: uvicorn's HTTP protocol on inherited sockets, and a drain that resets nobody."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from mlops_magics.serving.identity import Identity

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_KEEP_ALIVE = 75  # seconds: a client's pool may rest that long between two requests
_HANDSHAKE = 10.0  # seconds that a client may take to begin TLS
_TICK = 0.02  # seconds between two looks at the connections of a worker that drains


class _Farewell:
    """Tell each client of a draining worker, with its answer, that the connection ends here."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.leaving = False

    def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        return self._app(scope, receive, _closing(send) if self.leaving else send)


def _closing(send: Send) -> Send:
    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return closing


class Front:
    """Accepts connections for an ASGI application.

    uvicorn's own Server closes idle connections at once when it ends. A request that is on its way at
    that moment is then answered with a reset. This one first answers what still comes, says
    ``connection: close`` with each answer, and closes a connection only after it has been quiet.

    Args:
        app: The ASGI application.
        identity: What it shows over TLS; None speaks without.
    """

    def __init__(self, app: App, identity: Identity | None = None) -> None:
        self._identity = identity
        self._farewell = _Farewell(app)
        self._config = uvicorn.Config(
            self._farewell,
            interface="asgi3",
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._config.load()
        self._lifespan = self._config.lifespan_class(self._config)
        self._state = ServerState()
        self._servers: dict[socket.socket, asyncio.AbstractServer] = {}
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application; nothing is accepted yet.

        Raises:
            RuntimeError: The application's own start failed; the log says why.
        """
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise RuntimeError("the application did not start")
        self._set_date()
        self._clock = asyncio.create_task(self._tick())

    async def accept(self, sock: socket.socket) -> None:
        """Accept connections of a listening socket from now on."""
        tls: dict[str, Any] = {}
        if self._identity:
            tls = {"ssl": self._identity.context, "ssl_handshake_timeout": _HANDSHAKE}
        loop = asyncio.get_running_loop()
        self._servers[sock] = await loop.create_server(self._protocol, sock=sock, **tls)

    def refuse(self, sock: socket.socket) -> None:
        """Accept no further connection of a socket; those that are open stay."""
        self._servers.pop(sock).close()

    async def drain(self, *, linger: float, seconds: float) -> None:
        """Stop accepting, answer what is under way, close, and stop the application.

        Args:
            linger: How long a connection must have been quiet before it is closed.
            seconds: After this time what is still under way is cut off.
        """
        self._farewell.leaving = True
        for sock in list(self._servers):
            self.refuse(sock)
        deadline = time.monotonic() + seconds
        quiet: dict[Any, tuple[Any, float]] = {}
        while self._state.connections and time.monotonic() < deadline:
            self._close_quiet(quiet, linger)
            await asyncio.sleep(_TICK)
        for task in list(self._state.tasks):
            task.cancel()
        if self._clock:
            self._clock.cancel()
        await self._lifespan.shutdown()

    def _close_quiet(self, quiet: dict[Any, tuple[Any, float]], linger: float) -> None:
        now = time.monotonic()
        for connection in list[Any](self._state.connections):
            cycle = connection.cycle
            if cycle is not None and not cycle.response_complete:
                cycle.keep_alive = False
                continue
            last, since = quiet.get(connection, (None, now))
            if connection not in quiet or last is not cycle:
                since = now
                quiet[connection] = (cycle, now)
            if now - since >= linger:
                connection.transport.close()

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self._config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self._config, server_state=self._state, app_state=self._lifespan.state
        )
        return protocol

    def _set_date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._set_date()
            if self._identity:
                self._identity.renew()
