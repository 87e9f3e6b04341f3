"""A systemd user unit, by which an endpoint is there again after a restart of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Code, Facts, Note, Title
from mlops_magics.foundation.platform import from_home
from mlops_magics.foundation.result import Result


@dataclass(frozen=True)
class Unit(Result):
    """A unit that was written; nothing was told to systemd.

    Attributes:
        endpoint: The endpoint's name.
        file: The unit's file.
        unit: The unit's name.
    """

    endpoint: str
    file: Path
    unit: str

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
        yield Note(
            "From the next start of the machine on the endpoint is started with the version that it served"
            " last. It follows an alias again when it is deployed again with --follow.",
            "quiet",
        )
