"""The one plugin seam: a room of interchangeable parts, a table first, entry points on a miss."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mlops_magics.foundation.errors import NotFoundError, UnavailableError, nearest

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Room(Generic[Part]):
    """A set of parts that answer to the same Protocol, by name.

    Attributes:
        name: The room's name; guests come by the entry point group ``mlops_magics.<name>``.
        table: Our own parts: name -> ``"module:attribute"``. Nothing is imported to list them.
    """

    name: str
    table: Mapping[str, str]

    def __iter__(self) -> Iterator[str]:
        """List our own parts and the guests' by name; imports none of them."""
        yield from dict.fromkeys((*self.table, *(point.name for point in self._guests())))

    def get(self, name: str) -> Part:
        """Hand out a part.

        Args:
            name: Its name in the table, or a guest's entry point.

        Returns:
            The part, imported now.

        Raises:
            NotFoundError: Neither the table nor a guest has it.
            UnavailableError: A guest's package cannot be imported.
        """
        if name in self.table:
            return self._load(self.table[name])
        for point in self._guests():
            if point.name == name:
                return self._guest(point)
        raise NotFoundError(
            f"{self.name} has no part '{name}'.",
            nearest(name, self)
            or f"Install a package that brings one (entry point mlops_magics.{self.name}).",
        )

    def _guest(self, point: importlib.metadata.EntryPoint) -> Part:
        try:
            return point.load()  # type: ignore[no-any-return]
        except Exception as error:  # whatever a stranger's module does on import
            raise UnavailableError(
                f"The {self.name} part '{point.name}' cannot be imported: {error}.",
                f"Reinstall the package that brings it ({point.value}).",
            ) from error

    def _guests(self) -> tuple[importlib.metadata.EntryPoint, ...]:
        import importlib.metadata

        return tuple(importlib.metadata.entry_points(group=f"mlops_magics.{self.name}"))

    @staticmethod
    def _load(address: str) -> Part:
        module, _, attribute = address.partition(":")
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
