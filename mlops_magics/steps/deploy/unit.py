"""A systemd user unit, by which an endpoint is there again after a restart of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Title
from mlops_magics.foundation.files import from_home
from mlops_magics.foundation.result import Result


@dataclass(frozen=True)
class Unit(Result):
    """A unit that was written; nothing was told to systemd.

    Attributes:
        endpoint: The endpoint's name.
        file: The unit's file.
        unit: The unit's name.
        follows: The alias that the endpoint follows from then on, or "".
        withheld: The variables for the store that may hold a secret: they lie on no disk.
        secrets: The file in which the unit looks for them.
    """

    endpoint: str
    file: Path
    unit: str
    follows: str = ""
    withheld: tuple[str, ...] = ()
    secrets: Path = Path()

    volatile: ClassVar[bool] = True

    @property
    def then(self) -> tuple[str, ...]:
        """The commands that let systemd know of it."""
        return (
            f"systemctl --user link {self.file}" if not self._found else "systemctl --user daemon-reload",
            f"systemctl --user enable {self.unit}",
            "loginctl enable-linger",
        )

    @property
    def _found(self) -> bool:
        """Whether it lies where systemd looks by itself."""
        return self.file.parent == Path("~/.config/systemd/user").expanduser()

    def blocks(self) -> Iterable[Block]:
        """Show where it lies, and the commands that follow."""
        yield Title(f"Unit of {self.endpoint}", "written", "good")
        yield Facts([("file", from_home(self.file)), ("unit", self.unit)])
        for line in self.then:
            yield Code(line)
        goes_on = f", and goes on to follow {self.follows}" if self.follows else ""
        yield Note(
            "From the next start of the machine on the endpoint is started with the version that it served"
            f" last{goes_on}.",
            "quiet",
        )
        if self.withheld:
            yield Note(
                f"On no disk, as they may be secret: {', '.join(self.withheld)}. What of them the store"
                f" needs, write into {from_home(self.secrets)}, a NAME=value a line, and chmod 600 the file."
            )
