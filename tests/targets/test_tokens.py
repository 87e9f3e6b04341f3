"""Tokens beside an endpoint's own: live at the next request, by hash only, gone with the endpoint."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
from served import EXAMPLE, ask_for, end_all, state_of, target

from mlops_magics.artifact.paths import tokens_path
from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.steps.deploy.tokens import scopes_of, tokens


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    end_all(folder)


def _ask(url: str, token: str) -> tuple[int, int]:
    """Ask for a prediction and for the counters; return both statuses."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return (
        httpx.post(f"{url}/invocations", content=EXAMPLE, headers=headers).status_code,
        httpx.get(f"{url}/metrics", headers=headers).status_code,
    )


def test_a_token_opens_what_it_is_for_from_the_next_request_on(tmp_path: Path, state: Path) -> None:
    local = target(state)
    endpoint = local.deploy(ask_for(tmp_path, workers=2))
    before = state_of(state).workers
    opened = {}
    for name, scopes in (
        ("asker", ()),
        ("watcher", ("read",)),
        ("both", ("read", "predict")),
        ("boss", ("admin",)),
    ):
        told = tokens(local, "flights", name, scopes_of(scopes), None)
        assert told.granted == name
        file = local.tokens("flights")[-1][1]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        opened[name] = file.read_text()
        assert opened[name] not in told.to_html() + str(told.to_dict())
        assert str(file) in told.to_html()
    expected = {"asker": (200, 403), "watcher": (403, 200), "both": (200, 200), "boss": (200, 200)}
    for _ in range(4):  # whichever worker answers
        assert {name: _ask(endpoint.url, token) for name, token in opened.items()} == expected
    own = local.key_file("flights").read_text()
    assert _ask(endpoint.url, own) == (200, 200)
    for path in state.rglob("*"):
        if path.is_file() and not path.is_relative_to(state / "keys"):
            assert not any(token.encode() in path.read_bytes() for token in opened.values()), path

    local.deploy(ask_for(tmp_path, 2.0))  # they are the endpoint's, not the version's
    assert _ask(endpoint.url, opened["both"]) == (200, 200)
    told = tokens(local, "flights", None, (), "both")
    assert [one.name for one in told.tokens] == ["", "asker", "watcher", "boss"]
    assert _ask(endpoint.url, opened["both"]) == (401, 401)
    assert _ask(endpoint.url, opened["asker"]) == (200, 403)
    assert not list((state / "keys").rglob("both"))
    told = tokens(local, "flights", "asker", ("read",), "asker")  # a new one in its place
    assert _ask(endpoint.url, opened["asker"]) == (401, 401)
    assert before != state_of(state).workers  # by the change of version only
    local.remove("flights")
    assert list((state / "keys").iterdir()) == []
    assert not tokens_path(state / "endpoints" / "x").parent.joinpath("flights").exists()


def test_a_spoilt_file_of_hashes_opens_nothing_and_its_own_token_still_does(
    tmp_path: Path, state: Path
) -> None:
    local = target(state)
    endpoint = local.deploy(ask_for(tmp_path))
    token = local.grant("flights", "asker", ("predict",)).read_text()
    assert _ask(endpoint.url, token)[0] == 200
    (book,) = (state / "endpoints").glob("*.tokens")
    whole = book.read_bytes()
    for spoilt in (whole[:-1], b"", b"{}", b"[1]", orjson.dumps([{"sha256": "x"}])):
        book.write_bytes(spoilt)
        assert _ask(endpoint.url, token)[0] == 401, spoilt
        assert _ask(endpoint.url, local.key_file("flights").read_text())[0] == 200
    book.write_bytes(whole)
    assert _ask(endpoint.url, token)[0] == 200
    book.unlink()
    assert _ask(endpoint.url, token)[0] == 401


def test_what_is_not_there_is_named(tmp_path: Path, state: Path) -> None:
    local = target(state)
    with pytest.raises(NotFoundError, match="no endpoint flights"):
        local.grant("flights", "asker", ("predict",))
    local.deploy(ask_for(tmp_path))
    local.grant("flights", "asker", ("predict",))
    with pytest.raises(RefusedError, match="already") as caught:
        local.grant("flights", "asker", ("predict",))
    assert "--revoke asker" in caught.value.remedy
    with pytest.raises(NotFoundError, match="no token for aksers") as missing:
        local.revoke("flights", "aksers")
    assert "asker" in missing.value.remedy
    for name in ("../x", "a/b", ""):
        with pytest.raises(UsageError):
            local.grant("flights", name, ("predict",))
    with pytest.raises(UsageError, match="knows no 'wirte'"):
        scopes_of(("wirte",))
