"""The packages that a run was made with: how they differ from those here, and how to have them again."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.foundation.errors import UnavailableError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.locks import locked
from mlops_magics.tracking.provenance import installed

_HERE = "Add --here to use the packages that are installed now."
_OURS = "mlops-magics"  # this very release runs the cells, whichever was installed then
_PYTHON = re.compile(r"# Python (\d+\.\d+)(\.\S+)?")
_SECONDS = 1_800
_TAIL = 600


@dataclass(frozen=True, slots=True)
class Packages:
    """What a run was made with.

    Attributes:
        python: Python's version, such as "3.11"; "" where it is not known.
        pins: Versions by distribution, in lower case.
    """

    python: str
    pins: dict[str, str]

    @classmethod
    def of(cls, text: str) -> Packages:
        """Read a run's ``environment.txt``."""
        version = _PYTHON.match(text)
        pairs = (line.partition("==") for line in text.splitlines() if not line.startswith("#"))
        pins = {name.strip().lower(): pin.strip() for name, _, pin in pairs if pin}
        return cls(version.group(1) if version else "", pins)

    def differences(self) -> tuple[str, ...]:
        """Say what is another here, one sentence each; what is here beyond the run's does not count."""
        found = []
        here = platform.python_version().rpartition(".")[0]
        if self.python and self.python != here:
            found.append(f"Python {self.python}, here {here}")
        now = {name.lower(): version for name, version in installed().items()}
        for name, version in self.pins.items():
            if name != _OURS and now.get(name) != version:
                found.append(f"{name} {version}, here {now.get(name, 'not installed')}")
        return tuple(found)

    def built(self, rooms: Path) -> Path:
        """Make an environment of exactly these packages, or take the one that was made before.

        Args:
            rooms: The folder where environments lie.

        Returns:
            Its Python.

        Raises:
            UnavailableError: There is no uv, or it cannot install them.
        """
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
        if uv is None:
            raise UnavailableError(
                "The run was made with other packages, and uv, which could install them, is not there.",
                f"Install it with: pip install uv. {_HERE}",
            )
        wanted = "".join(f"{name}=={version}\n" for name, version in self.pins.items() if name != _OURS)
        mark = hashlib.sha256(f"{self.python}\n{wanted}".encode()).hexdigest()[:16]
        room = private_folder(rooms) / mark
        python = room / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        done = room / "made"
        with locked(rooms / f"{mark}.lock", seconds=_SECONDS):
            if not done.exists():
                shutil.rmtree(room, ignore_errors=True)
                version = self.python or sys.executable
                _uv(uv, "venv", "--quiet", "--python", version, str(room))
                (room / "wanted.txt").write_text(wanted, encoding="utf-8")
                # The pins are the whole environment: nothing is to be resolved beside them.
                _uv(uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r",
                    str(room / "wanted.txt"))  # fmt: skip
                done.touch()
        return python


def _uv(uv: str, *words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [uv, *words], capture_output=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"uv did not end: {error}.", _HERE) from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[-_TAIL:]
        raise UnavailableError(f"The run's packages cannot be installed: {said}", _HERE)
