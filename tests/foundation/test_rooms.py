"""The plugin seam, with a guest that is an installed distribution of its own."""

import sys
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import NotFoundError, UnavailableError
from mlops_magics.foundation.rooms import Room

POINTS = """
[mlops_magics.games]
chess = guest_of_games:Chess.Fast
draughts = guest_of_games:Draughts
ours = guest_of_games:Chess
torn = guest_of_games_torn:Anything
absent = guest_of_games_absent:Anything
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room[Any]:
    info = tmp_path / "guest_of_games-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-of-games\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "guest_of_games.py").write_text("class Chess:\n    class Fast: pass\n")
    (tmp_path / "guest_of_games_torn.py").write_text("raise RuntimeError('torn')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("guest_of_games", "guest_of_games_torn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Room("games", {"ours": "pathlib:Path", "other": "mlops_magics.nowhere:X"})


def test_our_own_part_comes_from_the_table_even_where_a_guest_has_its_name(room: Room[Any]) -> None:
    assert room.get("ours") is Path
    assert "guest_of_games" not in sys.modules


def test_a_guest_comes_by_its_entry_point(room: Room[Any]) -> None:
    assert room.get("chess").__qualname__ == "Chess.Fast"


def test_all_are_listed_once_and_none_is_imported(room: Room[Any]) -> None:
    assert list(room) == ["ours", "other", "chess", "draughts", "torn", "absent"]
    assert "guest_of_games" not in sys.modules


@pytest.mark.parametrize("name", ["torn", "absent", "draughts"])
def test_a_broken_guest_is_named_with_its_package(room: Room[Any], name: str) -> None:
    with pytest.raises(UnavailableError, match=f"games part '{name}' cannot be imported") as caught:
        room.get(name)
    assert "Reinstall the package that brings it (guest_of_games" in caught.value.remedy


def test_an_unknown_name_is_answered_with_the_nearest(room: Room[Any]) -> None:
    with pytest.raises(NotFoundError, match="games has no part 'ches'") as caught:
        room.get("ches")
    assert caught.value.remedy == "Did you mean 'chess'?"


def test_an_empty_room_still_says_what_to_do() -> None:
    with pytest.raises(NotFoundError) as caught:
        Room("empty", {}).get("x")
    assert caught.value.remedy == "Install a package that brings one (entry point mlops_magics.empty)."
