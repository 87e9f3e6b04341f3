"""Somebody who receives webhooks: well, down, slow, wrong or redirecting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def receiver(answer: Answer) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Receive webhooks in a thread."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append(({key.lower(): value for key, value in self.headers.items()}, body))
            answer(self)

        def do_GET(self) -> None:
            came.append(({"method": "GET"}, b""))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?channel=1", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(*codes: int, **heads: str) -> Answer:
    """Answer with these statuses, one after the other, the last one for ever."""
    left = list(codes)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(left.pop(0) if len(left) > 1 else left[0])
        for name, value in heads.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer
