from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from mlops_magics.artifact.guard import Book, Token
from mlops_magics.serving.access import Access
from mlops_magics.serving.errors import RequestError

TOKEN = "correct-horse"  # noqa: S105 - made up here
ACCESS = Access(hashlib.sha256(TOKEN.encode()).hexdigest(), ["10.0.0.7", "[fe80::1]"])
GOOD = {"host": "127.0.0.1:5000", "authorization": f"Bearer {TOKEN}"}


def status(method: str = "POST", path: str = "/invocations", **headers: str | None) -> int:
    merged = {**GOOD, **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in merged.items() if value is not None]
    try:
        ACCESS.check(method, path, raw)
    except RequestError as error:
        return error.status
    return 200


def test_the_token_opens() -> None:
    assert status() == 200
    assert status(authorization=f"bearer  {TOKEN}") == 200


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN} x",
        "Bearer ünïcode",
        f"Bearer {hashlib.sha256(TOKEN.encode()).hexdigest()}",
    ],
)
def test_anything_else_does_not(value: str | None) -> None:
    assert status(authorization=value) == 401


def test_two_tokens_are_no_token() -> None:
    bearer = (b"authorization", f"Bearer {TOKEN}".encode())
    with pytest.raises(RequestError) as caught:
        ACCESS.check("POST", "/invocations", [(b"host", b"localhost"), bearer, bearer])
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/metrics", "/version", "/docs", "/ping/", "//ping", "/PING"]
)
def test_everything_but_two_routes_needs_the_token(path: str) -> None:
    assert status("GET", path, authorization=None) == 401


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_two_routes_are_open_for_reading_only(path: str) -> None:
    assert status("GET", path, authorization=None) == 200
    assert status("HEAD", path, authorization=None) == 200
    assert status("POST", path, authorization=None) == 401


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "10.0.0.7:9", "[fe80::1]"]
)
def test_near_hosts_pass(host: str) -> None:
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "evil@localhost",
        "localhost:80:80",
        "localhost/evil",
        "127.0.0.2",
        "[::2]",
    ],
)
def test_foreign_hosts_do_not_even_ping(host: str | None) -> None:
    assert status("GET", "/ping", host=host) == 403


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("flights.example.org", True),
        ("FLIGHTS.example.org:8443", True),
        ("a.flights.example.org", False),
        ("example.org", False),
        ("*.example.org", False),
        ("flights.example.org.evil.example", False),
    ],
)
def test_a_star_in_a_certificate_s_name_stands_for_one_word(host: str, *, passes: bool) -> None:
    access = Access("0" * 64, ["*.example.org"])
    raw = [(b"host", host.encode())]
    if passes:
        access.check("GET", "/ping", raw)
    else:
        with pytest.raises(RequestError, match="FOREIGN_HOST"):
            access.check("GET", "/ping", raw)


def test_two_hosts_are_refused() -> None:
    with pytest.raises(RequestError) as caught:
        ACCESS.check("GET", "/ping", [(b"host", b"localhost"), (b"host", b"evil.example")])
    assert caught.value.status == 403


@pytest.mark.parametrize("origin", ["http://localhost:8888", "https://127.0.0.1", "http://[::1]:80"])
def test_near_origins_pass(origin: str) -> None:
    assert status(origin=origin) == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.example", "http://localhost.evil.example", "http://localhost@evil.example",
     "file://localhost", "http://10.0.0.7", "http://localhost/evil"],
)  # fmt: skip
def test_foreign_origins_do_not(origin: str) -> None:
    assert status(origin=origin) == 403
    assert status("GET", "/ping", origin=origin) == 403


SCOPES: list[tuple[tuple[Any, ...], set[str]]] = [
    (("predict",), {"predict"}),
    (("read",), {"read"}),
    (("predict", "read"), {"predict", "read"}),
    (("admin",), {"predict", "read", "admin"}),
    ((), set()),
]


@pytest.mark.parametrize(("scopes", "opens"), SCOPES)
def test_a_further_token_opens_its_scopes_and_the_endpoint_s_own_everything(
    scopes: tuple[Any, ...], opens: set[str]
) -> None:
    others = [Token(sha256=hashlib.sha256(f"{n}".encode()).hexdigest(), scopes=("admin",)) for n in range(3)]
    mine = Token(sha256=hashlib.sha256(b"mine").hexdigest().upper(), scopes=scopes)
    access = Access(hashlib.sha256(TOKEN.encode()).hexdigest(), tokens=[*others[:1], mine, *others[1:]])
    for scope in ("predict", "read", "admin"):
        for token, is_open in ((b"mine", scope in opens), (TOKEN.encode(), True), (b"2", True)):
            headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + token)]
            if is_open:
                access.check("POST", "/x", headers, scope)  # type: ignore[arg-type]  # one of the three
            else:
                with pytest.raises(RequestError, match="OUT_OF_SCOPE") as caught:
                    access.check("POST", "/x", headers, scope)  # type: ignore[arg-type]
                assert caught.value.status == 403
        with pytest.raises(RequestError, match="UNAUTHENTICATED"):
            access.check("POST", "/x", [(b"host", b"localhost"), (b"authorization", b"Bearer other")])


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer "])
def test_an_empty_token_never_opens(value: bytes) -> None:
    careless = Access(hashlib.sha256(b"").hexdigest())
    with pytest.raises(RequestError) as caught:
        careless.check("POST", "/invocations", [(b"host", b"localhost"), (b"authorization", value)])
    assert caught.value.status == 401


class Sealed(bytes):
    """A digest that can only be compared in constant time: whatever else would look into it fails."""

    def _peeked(self, *_: object) -> Any:
        raise AssertionError("a digest was looked into")

    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __hash__ = _peeked
    __getitem__ = __iter__ = __contains__ = __add__ = __mod__ = __repr__ = __str__ = _peeked
    decode = find = index = count = startswith = endswith = partition = split = hex = _peeked


class Written(str):
    """A digest as it is handed over; what is made of it is sealed."""

    __slots__ = ()

    def lower(self) -> Written:
        return Written(super().lower())

    def encode(self, *args: str) -> Sealed:
        return Sealed(super().encode(*args))


class Shelf(Book):
    """A book whose tokens are sealed, too."""

    def __init__(self, tokens: list[Token]) -> None:
        self.known = tuple(tokens)

    def tokens(self) -> tuple[Token, ...]:
        return self.known


def sealed(text: str, *scopes: Any) -> Token:
    return Token(sha256=Written(hashlib.sha256(text.encode()).hexdigest()), scopes=scopes)


def test_tokens_are_compared_in_constant_time_and_each_of_them_whichever_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    honest = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((bytes.__getitem__(one, slice(None)), bytes.__getitem__(other, slice(None))))
        return honest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    own, names, kept = sealed("0").sha256, ("1", "2"), ("3", "4")
    access = Access(
        own, tokens=[sealed(name, "read") for name in names], book=Shelf([sealed(k, "read") for k in kept])
    )
    digests = [hashlib.sha256(name.encode()).hexdigest().encode() for name in "01234"]
    first = bytes(digests[0])
    near = next(  # one whose digest begins as the endpoint's own does
        f"{n}"
        for n in range(10**6)
        if hashlib.sha256(f"{n}".encode()).hexdigest().encode()[:2] == first[:2] and n
    )
    for token, looked, opens in (
        ("0", 3, True), ("1", 3, True), ("2", 3, True), ("3", 5, True), ("4", 5, True),
        ("x", 5, False), (near, 5, False), ("y" * 100_000, 5, False),
    ):  # fmt: skip
        compared.clear()
        headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + token.encode())]
        if opens:
            access.check("GET", "/metrics", headers, "read")
        else:
            with pytest.raises(RequestError, match="UNAUTHENTICATED"):
                access.check("GET", "/metrics", headers, "read")
        given = hashlib.sha256(token.encode()).hexdigest().encode()
        assert compared == [(given, digest) for digest in digests[:looked]]
        assert {len(each) for pair in compared for each in pair} == {64}
