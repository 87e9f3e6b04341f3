"""What clients that are broken, slow or mean send to a real endpoint, and what they are told."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from certificates import make
from endpoint import ROWS, TOKEN, application, served

from mlops_magics.artifact.certificate import checked, trusting
from mlops_magics.artifact.order import Limits
from mlops_magics.serving.identity import Identity

Address = tuple[str, int]

LIMITS = Limits(body_bytes=100_000, seconds=1)
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
ROW = {name: cells[0] for name, cells in ROWS.items()}
BODY = json.dumps({"dataframe_records": [ROW]}).encode()
SIZE = f"Content-Length: {len(BODY)}"
PACKED = gzip.compress(BODY)
CHUNKED = "Transfer-Encoding: chunked"
PREDICT = "POST /invocations HTTP/1.1"
HOST = "Host: localhost"
KIND = "Content-Type: application/json"
KEY = f"Authorization: Bearer {TOKEN}"
LAST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def asks(*lines: str, body: bytes = b"", start: str = PREDICT, end: str = "\r\n") -> bytes:
    """Write a request with the token."""
    return end.join([start, HOST, KEY, KIND, *lines, end]).encode("latin-1") + body


def gets(path: str, *lines: str, version: str = "1.1") -> bytes:
    """Write a request without token."""
    return "\r\n".join([f"GET {path} HTTP/{version}", *lines, "\r\n"]).encode("latin-1")


def chunks(*parts: bytes, behind: bytes = b"") -> bytes:
    """Write a body in chunks, and what stands behind it."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + behind + b"\r\n"


HIDDEN = asks(start="GET /version HTTP/1.1")
UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")

# What is sent, before LAST, and what is answered: a 200 at the end is that of LAST, where it was read.
ODD: dict[str, tuple[bytes, list[int]]] = {
    # Where does a request end?
    "as it should be": (asks(SIZE, body=BODY), [200, 200]),
    "in chunks": (asks(CHUNKED, body=chunks(BODY[:7], BODY[7:])), [200, 200]),
    "length, then chunks": (asks(SIZE, CHUNKED, body=chunks(BODY)), [400]),
    "chunks, then length": (asks(CHUNKED, SIZE, body=chunks(BODY)), [400]),
    "no length of chunks": (asks(CHUNKED, "Content-Length: 0", body=chunks(BODY)), [400]),
    "one length twice": (asks(SIZE, SIZE, body=BODY), [400]),
    "two lengths": (asks(SIZE, "Content-Length: 3", body=BODY), [400]),
    "a list of lengths": (asks(f"{SIZE}, {len(BODY)}", body=BODY), [400]),
    "length with a sign": (asks(f"Content-Length: +{len(BODY)}", body=BODY), [400]),
    "length below nothing": (asks("Content-Length: -1", body=BODY), [400]),
    "length in hexadecimal": (asks(f"Content-Length: {len(BODY):#x}", body=BODY), [400]),
    "length with a gap": (asks("Content-Length: 1 1", body=BODY), [400]),
    "length of nothing": (asks("Content-Length: ", body=BODY), [400]),
    "length beyond 64 bits": (asks("Content-Length: 18446744073709551617", body=BODY), [400]),
    "length beyond the limit": (asks("Content-Length: 999999999999", body=BODY), [413]),
    "length of many digits": (asks("Content-Length: " + "0" * 5000 + "1", body=BODY), [413]),
    "coding that is not known": (asks("Transfer-Encoding: xchunked", body=chunks(BODY)), [400]),
    "coding that is none": (asks("Transfer-Encoding: identity", body=BODY), [400]),
    "coding without a name": (asks("Transfer-Encoding:", body=chunks(BODY)), [400]),
    "coding behind chunks": (asks("Transfer-Encoding: chunked, gzip", body=chunks(BODY)), [400]),
    "chunks in chunks": (asks("Transfer-Encoding: chunked, chunked", body=chunks(BODY)), [400]),
    "coding in another case": (asks("Transfer-Encoding: Chunked", body=chunks(BODY)), [200, 200]),
    "coding in a list": (asks("Transfer-Encoding: gzip, chunked", body=chunks(PACKED)), [501, 200]),
    "coding that is hidden": (asks("Transfer-Encoding:\x0bchunked", body=chunks(BODY)), [400]),
    "word behind a chunk's size": (asks(CHUNKED, body=b"2;a=b\r\n{}\r\n0;c\r\n\r\n"), [400, 200]),
    "gap behind a chunk's size": (asks(CHUNKED, body=b"2 \r\n{}\r\n0\r\n\r\n"), [400]),
    "size with a prefix": (asks(CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n"), [400]),
    "size with a sign": (asks(CHUNKED, body=b"+2\r\n{}\r\n0\r\n\r\n"), [400]),
    "size beyond 64 bits": (asks(CHUNKED, body=b"10000000000000002\r\n{}\r\n0\r\n\r\n"), [400]),
    "chunk longer than its size": (asks(CHUNKED, body=b"1\r\n{}\r\n0\r\n\r\n"), [400]),
    "chunk with half an end": (asks(CHUNKED, body=b"2\n{}\r\n0\r\n\r\n"), [400]),
    "request in a body": (asks(f"Content-Length: {len(HIDDEN)}", body=HIDDEN), [400, 200]),
    "request in the body of a GET": (
        gets("/ping", HOST, f"Content-Length: {len(HIDDEN)}") + HIDDEN,
        [200, 200],
    ),
    "request behind the last chunk": (asks(CHUNKED, body=chunks(BODY) + HIDDEN), [200, 200, 200]),
    # What is a header?
    "header behind the body": (
        asks(CHUNKED, body=chunks(BODY, behind=b"Content-Encoding: gzip\r\nHost: other\r\n")),
        [200, 200],
    ),
    "token behind the body": (
        asks(CHUNKED, body=chunks(BODY, behind=KEY.encode() + b"\r\n")).replace(KEY.encode(), b"X: y", 1),
        [401, 200],
    ),
    "header on two lines": (asks(SIZE, "X: a", " b", body=BODY), [400]),
    "length on two lines": (asks("Content-Length:", f" {len(BODY)}", body=BODY), [400]),
    "space before the colon": (asks(SIZE.replace(":", " :"), body=BODY), [400]),
    "space before the first header": (gets("/ping", f" {HOST}"), [400]),
    "space in a name": (gets("/ping", HOST, "X Y: z"), [400]),
    "name of nothing": (gets("/ping", HOST, ": z"), [400]),
    "line without colon": (gets("/ping", HOST, "X"), [400]),
    "value of nothing": (gets("/ping", "X:", HOST), [200, 200]),
    "value with a zero": (gets("/ping", HOST, "X: a\0b"), [400]),
    "value with half an end": (gets("/ping", HOST, "X: a\rb"), [400]),
    "value with the other half": (gets("/ping", HOST, "X: a\nY: b"), [400]),
    "lines with half an end": (asks(SIZE, body=BODY, end="\n"), [400]),
    "empty lines before": (b"\r\n\r\n" + gets("/ping", HOST), [200, 200]),
    "head beyond the limit": (gets("/ping", HOST, "X: " + "x" * 100_000), [431]),
    "headers beyond the limit": (gets("/ping", HOST, *["X: y"] * 20_000), [431]),
    "path beyond the limit": (gets("/" + "x" * 100_000, HOST), [431]),
    # What is spoken?
    "no version": (b"GET /ping\r\n\r\n", [505]),
    "HTTP/0.9": (gets("/ping", HOST, version="0.9"), [505]),
    "HTTP/1.0": (gets("/ping", HOST, version="1.0"), [200]),
    "HTTP/1.0 that would stay": (gets("/ping", HOST, "Connection: keep-alive", version="1.0"), [200]),
    "HTTP/1.2": (gets("/ping", HOST, version="1.2"), [400]),
    "HTTP/2.0": (gets("/ping", HOST, version="2.0"), [505]),
    "HTTP/2's own beginning": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "TLS": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", [400]),
    "unknown method": (asks(start="SMUGGLE /version HTTP/1.1"), [400]),
    "method in small letters": (asks(start="get /version HTTP/1.1"), [400]),
    "tunnel": (asks(start="CONNECT localhost:1 HTTP/1.1"), [400]),
    "other methods": (asks(start="TRACE /version HTTP/1.1"), [405, 200]),
    "wish for HTTP/2": (asks(*UPGRADE, SIZE, body=BODY), [200]),
    "wish for HTTP/2 in chunks": (asks(*UPGRADE, CHUNKED, body=chunks(BODY)), [200]),
    "wish for HTTP/2, with a lie": (asks(*UPGRADE, CHUNKED, body=b"x\r\n"), [400]),
    "wish for HTTP/2, hiding": (asks(*UPGRADE, SIZE, body=BODY + HIDDEN), [200]),
    "wish for a websocket": (gets("/ping", HOST, "Connection: upgrade", "Upgrade: websocket"), [200]),
    "word before the body": (asks("Expect: 100-continue", SIZE, body=BODY), [200, 200]),
    "word to nobody": (asks("Expect: 100-continue", SIZE).replace(TOKEN.encode(), b"no"), [401]),
    "word in HTTP/1.0": (
        asks("Expect: 100-continue", SIZE, body=BODY, start="POST /invocations HTTP/1.0"),
        [200],
    ),
    # Who is asked?
    "no host": (gets("/ping"), [403, 200]),
    "two hosts": (gets("/ping", HOST, HOST), [403, 200]),
    "host of nothing": (gets("/ping", "Host:"), [403, 200]),
    "host of others": (gets("/ping", "Host: evil.example"), [403, 200]),
    "hosts in a list": (gets("/ping", "Host: localhost, evil.example"), [403, 200]),
    "host with a user": (gets("/ping", "Host: localhost@evil.example"), [403, 200]),
    "whole URL": (gets("http://localhost/ping?a", HOST), [200, 200]),
    "whole URL of others": (gets("http://evil.example/ping", HOST), [400]),
    "whole URL with a user": (gets("http://localhost@evil.example/ping", HOST), [400]),
    "whole URL of others, told so": (gets("http://evil.example/ping", "Host: evil.example"), [403, 200]),
    # Which route is meant?
    "path in other letters": (gets("/%70ing", HOST), [200, 200]),
    "path upwards": (asks(start="GET /ping/../version HTTP/1.1"), [404, 200]),
    "path upwards without token": (gets("/ping/../version", HOST), [401, 200]),
    "path upwards, hidden": (gets("/ping/%2e%2e%2fversion", HOST), [401, 200]),
    "path upwards, the other way": (gets("/ping\\..\\version", HOST), [401, 200]),
    "path with two slashes": (asks(start="GET //version HTTP/1.1"), [404, 200]),
    "path with a zero": (asks(start="GET /version%00 HTTP/1.1"), [404, 200]),
    "path with parameters": (gets("/ping;/version", HOST), [401, 200]),
    "path in the query": (gets("/ping?/version", HOST), [200, 200]),
    "path without slash": (asks(start="GET version HTTP/1.1"), [400]),
    "path of a star": (asks(start="OPTIONS * HTTP/1.1"), [400]),
    "path with a letter": (gets("/\xfc", HOST), [400]),
    # Who asks?
    "two tokens": (asks(KEY, start="GET /version HTTP/1.1"), [401, 200]),
    "token of nothing": (gets("/version", HOST, "Authorization: Bearer "), [401, 200]),
    "page of others": (asks("Origin: null", start="GET /version HTTP/1.1"), [403, 200]),
}  # fmt: skip


@pytest.fixture(scope="module", params=LOOPS, ids=["asyncio", "uvloop"])
def address(request: pytest.FixtureRequest) -> Iterator[Address]:
    with served(application(limits=LIMITS), request.param) as found:
        yield found


def hears(client: socket.socket) -> bytes:
    """Read until the endpoint has closed."""
    heard = b""
    while part := client.recv(65536):
        heard += part
    return heard


def statuses(heard: bytes) -> list[int]:
    """Read the answers apart; nothing may stand between them."""
    found = []
    while heard:
        head, end, heard = heard.partition(b"\r\n\r\n")
        assert end
        line, *lines = head.split(b"\r\n")
        headers = dict(one.lower().split(b": ", 1) for one in lines)
        found.append(int(line.split(b" ")[1]))
        heard = heard[int(headers[b"content-length"]) :]
    return found


def told(address: Address, sent: bytes) -> list[int]:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(sent)
        return statuses(hears(client))


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_gets_this_answer(name: str, address: Address) -> None:
    sent, expected = ODD[name]
    assert told(address, sent + LAST) == expected


def test_a_request_that_comes_byte_by_byte_is_the_same(address: Address) -> None:
    sent = asks(*UPGRADE, CHUNKED, body=chunks(BODY, behind=b"X: y\r\n"))
    with socket.create_connection(address, timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(sent)):
            client.sendall(sent[at : at + 1])
        assert statuses(hears(client)) == [200]


MUCH = b"x" * 8_000_000


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (asks(f"Content-Length: {len(MUCH)}"), [413]),
        (asks(CHUNKED) + b"%x\r\n" % len(MUCH), [413]),
        (asks(CHUNKED) + b"2\r\n{}\r\nwrong\r\n", [400]),
        (b"NO HTTP\r\n\r\n", [400]),
        (asks("Expect: 100-continue", f"Content-Length: {len(MUCH)}").replace(TOKEN.encode(), b"no"), [401]),
        (asks(f"Content-Length: {len(MUCH)}").replace(TOKEN.encode(), b"no"), [401, 200]),
    ],
    ids=["length", "chunk", "broken chunk", "no HTTP", "word to nobody", "no token"],
)
def test_who_is_still_sending_gets_to_read_the_refusal(
    head: bytes, expected: list[int], address: Address
) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(head + MUCH)
        client.sendall(LAST)
        assert statuses(hears(client)) == expected


@pytest.mark.parametrize(
    "body",
    [
        chunks(b"x", behind=b"X: y\r\n" * 40_000),
        chunks(b"x", behind=b"X: " + b"y" * 200_000 + b"\r\n"),
        b"1;" + b"a=b;" * 50_000 + b"\r\nx\r\n0\r\n\r\n",
    ],
    ids=["headers", "header", "words"],
)
def test_what_is_neither_head_nor_body_has_an_end(body: bytes, address: Address) -> None:
    assert told(address, gets("/version", HOST, CHUNKED) + body + LAST) in ([401], [431])


def test_who_says_no_more_is_answered_all_the_same(address: Address) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(gets("/ping", HOST))
        client.shutdown(socket.SHUT_WR)
        assert statuses(hears(client)) == [200]


def test_who_says_no_more_is_answered_what_a_thread_computes(address: Address) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(asks(SIZE, body=BODY))
        client.shutdown(socket.SHUT_WR)
        assert statuses(hears(client).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")) == [200]


def test_what_is_no_http_is_counted(address: Address) -> None:
    def counted() -> int:
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(asks("Connection: close", start="GET /metrics HTTP/1.1"))
            lines = hears(client).decode().splitlines()
        found = [line for line in lines if 'route="unread",status="400"' in line]
        return int(found[0].rpartition(" ")[2]) if found else 0

    before = counted()
    assert told(address, b"NO HTTP\r\n\r\n") == [400]
    assert counted() == before + 1


def test_a_body_that_does_not_come_is_told_so(address: Address) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(asks(SIZE, body=BODY[:-1]))
        assert statuses(hears(client)) == [408]


def test_an_id_cannot_say_more_than_an_id(address: Address) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(gets("/ping", HOST, "X-Request-Id: a b; set-cookie: c", "Connection: close"))
        heard = hears(client)
    assert statuses(heard) == [200]
    assert b"set-cookie" not in heard
    assert b"x-request-id: " in heard


def test_the_answer_to_head_has_no_body(address: Address) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(gets("/ping", HOST).replace(b"GET", b"HEAD") + LAST)
        first, rest = hears(client).split(b"\r\n\r\n", 1)
    assert b"content-length: 1\r\n" in first
    assert statuses(rest) == [200]


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_is_still_sending_over_tls_gets_to_read_the_refusal(
    loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    file, key = make(tmp_path / "tls", "localhost")
    with served(application(limits=LIMITS), loop, Identity(checked(file, key))) as address:
        plain = socket.create_connection(address, timeout=10)
        with trusting(file).wrap_socket(plain) as client:
            client.sendall(asks(f"Content-Length: {len(MUCH)}") + MUCH[:1_000_000])
            assert statuses(hears(client)) == [413]
