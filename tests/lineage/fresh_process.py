"""The oracle for scripts: run one in a fresh process, and compare the digest of what it made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from slice_shell import Notebook

from mlops_magics.lineage.backward import Slice
from mlops_magics.lineage.script import script

_END = """
from mlops_magics.lineage.walk import walk as _walk

print("digest", _walk({name}, globals()).digest)
"""


def made_again(
    book: Notebook, found: Slice, name: str, folder: Path, transform: Callable[[str], str] | None = None
) -> bool:
    """Tell whether a slice's script makes the same in a fresh process, whatever it prints itself."""
    program = folder / "slice.py"
    program.write_text(script(found, transform=transform) + _END.format(name=name), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == f"digest {book.digest(name)}"
