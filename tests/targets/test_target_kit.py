"""What every target has to keep: the kit goes over our table, and over a guest that is installed."""

from __future__ import annotations

import hashlib
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import EXAMPLE, end_all
from written_targets import contents, install_guest, request_for, target_in

from mlops_magics.foundation.errors import NotFoundError, UnavailableError, UsageError
from mlops_magics.targets import TARGETS
from mlops_magics.targets.container import ContainerTarget

ALL = [*TARGETS.table, "paper"]
WRITTEN = [name for name in ALL if name != "local"]
BAD_NAMES = [
    "a\n  hostNetwork: true",
    "{{ x }}",
    "../x",
    "x/y",
    "",
    "x" * 300,
    "a\0b",
    "$(id)",
    "-rf",
    'a"b',
]


@pytest.fixture(autouse=True)
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    packages = tmp_path / "packages"
    packages.mkdir()
    install_guest(packages)
    monkeypatch.syspath_prepend(packages)
    yield
    for name in ("guest_target", "guest_target_torn"):
        sys.modules.pop(name, None)
    end_all(tmp_path / "state")


@pytest.mark.parametrize("name", ALL)
def test_bad_names_are_refused_and_nothing_is_made(name: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    target = target_in(root, name)
    for bad in BAD_NAMES:
        request = request_for(name, tmp_path, name=bad)
        for ask in (lambda: target.plan(request), lambda: target.deploy(request), lambda: target.remove(bad)):  # noqa: B023 - called at once
            with pytest.raises(UsageError):
                ask()
    assert list(root.rglob("*")) == []
    assert target.list() == ()


@pytest.mark.parametrize("name", ALL)
def test_what_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    target = target_in(tmp_path / "project", name)
    with pytest.raises(NotFoundError):
        target.remove("flights")
    with pytest.raises(NotFoundError):
        target.call("flights", EXAMPLE)


@pytest.mark.parametrize("name", ALL)
def test_a_plan_changes_nothing_and_is_empty_once_it_was_carried_out(name: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    target = target_in(root, name)
    request = request_for(name, tmp_path)
    planned = target.plan(request)
    assert {item.what for item in planned} == {"added"}
    assert list(root.rglob("*")) == []
    assert target.list() == ()
    endpoint = target.deploy(request)
    assert (endpoint.name, endpoint.version, endpoint.target) == ("flights", "1", name)
    assert target.plan(request) == ()
    assert [(item.name, item.version, item.target) for item in target.list()] == [("flights", "1", name)]
    later = target.plan(request_for(name, tmp_path, 2.0))
    assert later
    assert later == target.plan(request_for(name, tmp_path, 2.0))
    target.remove("flights")
    assert target.list() == ()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_request_is_the_same_bytes(name: str, tmp_path: Path) -> None:
    folders = []
    for root in (tmp_path / "one", tmp_path / "two"):
        folder = target_in(root, name).deploy(request_for(name, tmp_path)).folder
        assert folder == root / "deploy" / "flights" / name
        folders.append(contents(folder))
    assert folders[0] == folders[1]
    assert str(tmp_path).encode() not in b"".join(
        content for path, content in folders[0].items() if not path.endswith(".whl")
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_secret_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "MLOPS_TOKEN_SHA256": "5" * 64,
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "API_TOKEN": "sk-123456",
    }
    for variable, value in secrets.items():
        monkeypatch.setenv(variable, value)
    endpoint = target_in(tmp_path / "project", name).deploy(request_for(name, tmp_path))
    assert endpoint.folder is not None
    written = b"".join(contents(endpoint.folder).values()) + " ".join(endpoint.then).encode()
    for value in secrets.values():
        assert value.encode() not in written
        assert hashlib.sha256(value.encode()).hexdigest().encode() not in written


@pytest.mark.parametrize("name", WRITTEN)
def test_it_can_be_read_by_the_user_of_an_image_and_changed_by_no_other(name: str, tmp_path: Path) -> None:
    folder = target_in(tmp_path / "project", name).deploy(request_for(name, tmp_path)).folder
    assert folder is not None
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize("name", WRITTEN)
def test_removing_takes_only_what_was_written(name: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    target = target_in(root, name)
    folder = target.deploy(request_for(name, tmp_path)).folder
    assert folder is not None
    changed = next(path for path in sorted(folder.iterdir()) if path.suffix in {".json", ".txt"})
    changed.write_text("by hand")
    (folder / "kept").mkdir()
    (folder / "kept" / "mine.txt").write_text("mine")
    (folder.parent / "beside.txt").write_text("mine too")
    target.remove("flights")
    assert contents(root / "deploy" / "flights") == {
        f"{name}/{changed.name}": b"by hand",
        f"{name}/kept/mine.txt": b"mine",
        "beside.txt": b"mine too",
    }
    with pytest.raises(NotFoundError):
        target.remove("flights")


@pytest.mark.parametrize("name", WRITTEN)
def test_after_removing_an_untouched_deployment_nothing_is_left(name: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    target = target_in(root, name)
    target.deploy(request_for(name, tmp_path))
    target.remove("flights")
    assert list(root.iterdir()) == []


def test_a_guest_never_comes_instead_of_ours_and_a_torn_one_is_named() -> None:
    assert TARGETS.get("container") is ContainerTarget
    with pytest.raises(UnavailableError, match="torn"):
        TARGETS.get("torn")
    assert "paper" in list(TARGETS)
