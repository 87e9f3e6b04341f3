"""A worker's network side: HTTP connections on inherited sockets, and a drain that resets nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from email.utils import formatdate

from mlops_magics.serving.asgi import App, Message, Shared, Standing, Wire
from mlops_magics.serving.door import Door
from mlops_magics.serving.identity import Identity
from mlops_magics.serving.posix import room

_log = logging.getLogger(__name__)
_KEEP_ALIVE = 75.0  # seconds: a client's pool may rest that long between two requests
_STALLED = 30.0  # seconds in which a request that has begun must be whole, and of an answer some must be read
_SHORT = 5.0  # seconds that count for both while somebody waits for room
_BEGIN = 1.0  # seconds in which who was just accepted may begin, where a worker drains
_TICK = 0.02  # seconds between two looks at the connections of a worker that drains
_SAID = 60.0  # seconds between two lines of the log which say that there is no room


class _Life:
    """Starts and stops an ASGI application."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> bool:
        """Start it; tells whether it did."""
        self._task = asyncio.create_task(self._live())
        return await self._ask("startup")

    async def stop(self) -> None:
        """Stop it."""
        await self._ask("shutdown")

    async def _ask(self, what: str) -> bool:
        self._asked.put_nowait({"type": f"lifespan.{what}"})
        told = await self._told.get()
        return bool(told["type"] == f"lifespan.{what}.complete")

    async def _live(self) -> None:
        try:
            await self._app({"type": "lifespan"}, self._asked.get, self._told.put)
        finally:  # it may have ended without a word
            self._told.put_nowait({"type": "lifespan.ended"})


class Front:
    """Accepts connections for an ASGI application.

    A server that closes idle connections at once when it ends resets the request that is on its way at
    that moment. This one first answers what still comes, says ``connection: close`` with each answer, and
    closes a connection only after it has been quiet.

    Args:
        app: The ASGI application.
        identity: What it shows over TLS; None speaks without.
        refused: What is told, with its status, of each answer that the application did not give: that to
            what is no HTTP, say.
    """

    def __init__(
        self,
        app: App,
        identity: Identity | None = None,
        *,
        refused: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._identity = identity
        self._life = _Life(app)
        self._shared = Shared(app, room(), refused=refused)
        self._doors: dict[socket.socket, Door] = {}
        self._resting: asyncio.Task[None] | None = None
        self._said_at = -_SAID
        self._quiet: dict[Wire, tuple[Standing, float]] = {}
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application; nothing is accepted yet.

        Raises:
            RuntimeError: The application's own start failed; the log says why.
        """
        if not await self._life.start():
            raise RuntimeError("the application did not start")
        self._set_date()
        self._clock = asyncio.create_task(self._tick())

    async def accept(self, sock: socket.socket) -> None:
        """Accept connections of a listening socket from now on."""
        self._wake()
        if sock not in self._doors:
            self._doors[sock] = Door(sock, self._shared, self._identity.context if self._identity else None)
        self._doors[sock].open()

    def refuse(self, sock: socket.socket) -> None:
        """Accept no further connection of a socket, and close it; those that are open stay."""
        if door := self._doors.pop(sock, None):
            door.close()

    def rest(self, *, linger: float) -> None:
        """Accept nobody until a socket is accepted at again; what is open is answered, and closed when quiet.

        Args:
            linger: How long a connection must have been quiet before it is closed.
        """
        for door in self._doors.values():
            door.shut()
        self._shared.leaving = True
        self._quiet.clear()
        self._resting = asyncio.create_task(self._let_go(linger))

    def _wake(self) -> None:
        """Rest no longer."""
        if self._resting:
            self._resting.cancel()
            self._resting = None
            self._shared.leaving = False

    async def _let_go(self, linger: float) -> None:
        while self._shared.open or self._shared.beginning:
            self._close_quiet(linger, linger)
            await asyncio.sleep(_TICK)

    async def drain(self, *, linger: float, seconds: float) -> None:
        """Stop accepting, answer what is under way, close, and stop the application.

        Args:
            linger: How long a connection must have been quiet before it is closed.
            seconds: After this time what is still under way is cut off.
        """
        self._wake()
        self._shared.leaving = True
        for sock in list(self._doors):
            self.refuse(sock)
        self._quiet.clear()
        now = begun = time.monotonic()
        shared = self._shared
        while (shared.open and now < begun + seconds) or (shared.beginning and now < begun + _BEGIN):
            self._close_quiet(linger, linger)
            await asyncio.sleep(_TICK)
            now = time.monotonic()
        for task in (*shared.tasks, *shared.beginning):
            task.cancel()
        for connection in list(shared.open):
            connection.abort()
        if self._clock:
            self._clock.cancel()
        await self._life.stop()

    def _close_quiet(self, rest: float, stalled: float) -> None:
        """Close connections on which nothing has moved for a while, and nobody makes an answer.

        Args:
            rest: How long one may rest between two requests.
            stalled: How long one may stand still in the middle of a request, or of an answer.
        """
        now = time.monotonic()
        quiet = self._quiet
        self._quiet = {}
        for connection in list(self._shared.open):
            standing = connection.standing
            if standing is None or (standing.unread and self._shared.leaving):
                continue
            known, since = quiet.get(connection, (standing, now))
            if known != standing:
                since = now
            if now - since < (stalled if standing.begun or standing.unread else rest):
                self._quiet[connection] = (standing, since)
            elif standing.unread:  # it would wait for its client for ever
                connection.abort()
            else:
                connection.close()

    def _set_date(self) -> None:
        self._shared.date = formatdate(usegmt=True).encode()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                self._look_after()
            except Exception:  # noqa: BLE001 - without a clock nothing would ever be closed
                _log.exception("A look after the connections failed.")

    def _look_after(self) -> None:
        """Do what is due each second."""
        self._set_date()
        if self._shared.knocking:
            self._close_quiet(min(_KEEP_ALIVE, _SHORT), min(_STALLED, _SHORT))
            self._say_full()
        else:
            self._close_quiet(_KEEP_ALIVE, _STALLED)
        if self._identity:
            self._identity.renew()

    def _say_full(self) -> None:
        """Say in the log that there is no room, now and then."""
        now = time.monotonic()
        if now - self._said_at > _SAID:
            self._said_at = now
            _log.warning("There is no room for another connection; open: %d.", len(self._shared.open))
