"""A door: whoever knocks at a listening socket is let in, as long as there is room.

The workers of an endpoint share its socket. One that is full does not accept, so that another one does; where
all are full a client waits in the system's queue until somebody leaves. A connection counts from the moment
it is accepted: one that is still beginning TLS takes its room as well.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any, Final

from mlops_magics.serving.asgi import Shared
from mlops_magics.serving.connection import Connection

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 64  # in one turn of the event loop: who is inside has work to be done
_HANDSHAKE: Final = 10.0  # seconds that a client may take to begin TLS
_PAUSE: Final = 1.0  # seconds until one that could not be let in for want of files or memory knocks again


class Door:
    """Lets in those who knock at one listening socket.

    Args:
        sock: The socket.
        shared: What the connections share.
        tls: What each of them is met with; None speaks without TLS.
    """

    def __init__(self, sock: socket.socket, shared: Shared, tls: ssl.SSLContext | None) -> None:
        self._sock = sock
        self._shared = shared
        self._tls: dict[str, Any] = {"ssl": tls, "ssl_handshake_timeout": _HANDSHAKE} if tls else {}
        self._loop = asyncio.get_running_loop()
        self._open = False
        sock.setblocking(False)  # noqa: FBT003 - positional only

    def open(self) -> None:
        """Let in whoever knocks from now on."""
        self._open = True
        self._listen()

    def shut(self) -> None:
        """Let nobody in for now; who is inside stays."""
        self._open = False
        self._loop.remove_reader(self._sock)

    def close(self) -> None:
        """Let nobody in any more."""
        self.shut()
        self._sock.close()

    def _listen(self) -> None:
        if self._open:
            self._loop.add_reader(self._sock, self._let_in)

    def _let_in(self) -> None:
        room = self._shared.room
        if room <= 0:  # another process may have some: it knocks there as well
            self._loop.remove_reader(self._sock)
            self._shared.knocking.append(self._listen)
        for _ in range(min(room, _AT_ONCE)):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another process was quicker, or the client has left
            except OSError as error:
                _log.warning("A connection cannot be accepted: %s.", error.strerror)
                self._loop.remove_reader(self._sock)
                self._loop.call_later(_PAUSE, self._listen)
                return
            sock.setblocking(False)  # noqa: FBT003 - positional only
            self._shared.beginning.add(self._loop.create_task(self._meet(sock)))

    async def _meet(self, sock: socket.socket) -> None:
        """Make a connection of a client that was accepted."""
        shared = self._shared
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(shared), sock, **self._tls)
        except OSError as error:  # it has left, or speaks no TLS, or takes too long to
            _log.debug("A connection did not begin: %s.", type(error).__name__)
            sock.close()
        finally:
            shared.beginning.discard(asyncio.current_task())
            shared.left()
