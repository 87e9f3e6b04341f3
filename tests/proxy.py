"""Stands between a client and a real server, and fails as it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ")
ANSWERS = {"500": "500 Internal Server Error", "401": "401 Unauthorized", "429": "429 Too Many Requests"}


class Proxy:
    """Stands before a real server, and fails as it is told to.

    ``mode`` is "pass", "refuse", "hang", "slow", or the status that each request is answered with.
    ``left`` counts the requests that are still passed on; the one after them is refused or, where ``deaf``
    is set, passed on while its answer is kept back, and from then on the mode is "refuse".
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.mode = "pass"
        self.left = -1
        self.deaf = False
        self.seen = 0
        self._mute = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def turn(self, mode: str) -> None:
        self.mode, self._mute = mode, False
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self.turn("refuse")
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                _at_once(line)
                threading.Thread(target=self._one, args=(line,), daemon=True).start()

    def _one(self, line: socket.socket) -> None:
        self._open.add(line)
        with line, contextlib.suppress(OSError):
            if self.mode == "refuse":
                return
            if self.mode == "hang":
                self._closing.wait(30)
                return
            if self.mode in ANSWERS:
                line.recv(65_536)
                body = b'{"error_code": "INTERNAL_ERROR", "message": "no"}'
                head = f"HTTP/1.1 {ANSWERS[self.mode]}\r\nContent-Type: application/json\r\n"
                line.sendall(
                    f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
                )
                return
            self._passed(line)
        self._open.discard(line)

    def _passed(self, line: socket.socket) -> None:
        with socket.create_connection((self.target.hostname or "", self.target.port or 0)) as server:
            _at_once(server)
            self._open.add(server)
            back = threading.Thread(target=self._back, args=(server, line), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := line.recv(65_536):
                    if data.startswith(METHODS):
                        self.seen += 1
                        if self.left == 0:
                            self.left, self._mute = -1, self.deaf
                            if not self.deaf:
                                self.turn("refuse")
                                break
                        self.left -= self.left > 0
                    server.sendall(data)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()
            self._open.discard(server)

    def _back(self, server: socket.socket, line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if self._mute:  # the server has done what was asked, and nobody hears of it
                    self.turn("refuse")
                    break
                line.sendall(data)
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_WR)


def _at_once(line: socket.socket) -> None:
    """Pass on a head before its body: else each waits 40 ms for the other side to confirm the first."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
