"""What tests of targets that write files share: requests for each, and a fake guest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from served import STORE, ask_for

from mlops_magics.foundation.settings import Settings
from mlops_magics.targets.base import Request, Target
from mlops_magics.targets.finding import find

GUEST = """
from mlops_magics.targets.written import WrittenTarget


class PaperTarget(WrittenTarget):
    name = "paper"

    def files(self, request):
        return {"letter.txt": f"Dear {request.name}, version {request.version}".encode()}

    def then(self, request, folder):
        return (f"lp {folder}/letter.txt",)
"""
POINTS = """
[mlops_magics.targets]
paper = guest_target:PaperTarget
torn = guest_target_torn:PaperTarget
container = guest_target:PaperTarget
"""
IMAGE = "registry.example.com/team/flights:1"

# What a target cannot do without.
OPTIONS: Mapping[str, Mapping[str, Any]] = {"kubernetes": {"image": IMAGE}, "kserve": {"image": IMAGE}}


def install_guest(folder: Path) -> None:
    info = folder / "guest_target-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-target\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (folder / "guest_target.py").write_text(GUEST)
    (folder / "guest_target_torn.py").write_text("raise RuntimeError('torn')\n")


def target_in(root: Path, name: str) -> Target:
    root.mkdir(exist_ok=True)
    return find(name, Settings(root=root, store=STORE, state=root.parent / "state"), STORE)


def request_for(target: str, tmp: Path, constant: float = 1.0, **changes: Any) -> Request:
    return ask_for(tmp, constant, **{**OPTIONS.get(target, {}), **changes})


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
