"""Code that a model brings along: the user's own classes and functions, as one module named by its content.

It is never imported by itself. Whoever loads the model agrees in that very call, the file must be what its
name says, and only what it defines itself may be named by the model.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.errors import RefusedError

FOLDER: Final = "mlops/shipped"
_NAME: Final = re.compile(r"mlops_shipped_[0-9a-f]{32}")
_MOST_BYTES: Final = 1024 * 1024
_AGAIN: Final = "Log the model again from its notebook; the code of a model is not edited by hand."


@dataclass(frozen=True, slots=True)
class Shipped:
    """A module that goes with a model.

    Attributes:
        name: Its name: it says what is in it.
        source: Its text.
        moved: The full names that its definitions had where they came from, each with its name in it.
    """

    name: str
    source: str
    moved: Mapping[str, str]

    @classmethod
    def of(cls, source: str, moved: Mapping[str, str]) -> Shipped:
        """Name a module by its content."""
        return cls(_named(source.encode()), source, moved)

    @property
    def files(self) -> dict[str, bytes]:
        """Its file, by its path in the model's folder."""
        return {f"{FOLDER}/{self.name}.py": self.source.encode()}

    @property
    def types(self) -> frozenset[str]:
        """The full names of what it defines for the model."""
        return frozenset(f"{self.name}.{name}" for name in self.moved.values())

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that it imports."""
        nodes = ast.parse(self.source).body
        whole = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
        return (*whole, *(str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)))

    def rename_in(self, file: Path) -> None:
        """Let a .skops file look for the definitions in this module instead of where they came from."""
        with zipfile.ZipFile(file) as archive:
            parts = {item: archive.read(item) for item in archive.namelist()}
            kind = archive.getinfo("schema.json").compress_type
        parts["schema.json"] = json.dumps(self._renamed(json.loads(parts["schema.json"]))).encode()
        with zipfile.ZipFile(file, "w", kind) as archive:
            for item, content in parts.items():
                archive.writestr(item, content)

    def _renamed(self, node: Any) -> Any:  # noqa: ANN401 - JSON of any depth
        if isinstance(node, list):
            return [self._renamed(each) for each in node]
        if not isinstance(node, dict):
            return node
        made = {key: self._renamed(each) for key, each in node.items()}
        name = self.moved.get(f"{node.get('__module__')}.{node.get('__class__')}")
        return made if name is None else made | {"__module__": self.name, "__class__": name}


@dataclass(frozen=True, slots=True)
class Brought:
    """The module in a model's folder, before anything of it is run.

    Attributes:
        path: Its file.
        names: What it defines.
        content: What was in the file when it was looked at.
    """

    path: Path
    names: tuple[str, ...]
    content: bytes

    @property
    def types(self) -> frozenset[str]:
        """The full names of what it defines."""
        return frozenset(f"{self.path.stem}.{name}" for name in self.names)

    def bring_in(self) -> None:
        """Import it: this runs its code.

        Raises:
            RefusedError: It cannot be run.
        """
        if self.path.stem in sys.modules:
            return
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        if spec is None or spec.loader is None:
            raise RefusedError(f"The model's code {self.path.name} is no module.", _AGAIN)
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.path.stem] = module
        try:
            exec(compile(self.content, str(self.path), "exec"), vars(module))  # noqa: S102 - consented
        except Exception as error:
            del sys.modules[self.path.stem]
            raise RefusedError(
                f"The model's code cannot be run here: {type(error).__name__}: {str(error)[:200]}.",
                "Install the packages that it imports, in the versions of its requirements.txt.",
            ) from error


def find(folder: Path) -> Brought | None:
    """Find the code in a model's folder, without running it.

    Args:
        folder: The model's folder.

    Returns:
        The module; None where the model brings none.

    Raises:
        RefusedError: It is not one module that is what its name says.
    """
    place = folder / FOLDER
    if not place.exists():
        return None
    found = sorted(place.iterdir()) if place.is_dir() else []
    if len(found) != 1 or found[0].suffix != ".py" or not _NAME.fullmatch(found[0].stem):
        raise RefusedError(f"The folder {FOLDER} of the model is not one module of ours.", _AGAIN)
    path = found[0]
    content = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
    if _named(content) != path.stem:
        raise RefusedError(f"The model's code {path.name} was changed: its digest differs.", _AGAIN)
    try:
        nodes = ast.parse(content).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RefusedError(f"The model's code {path.name} is no Python of this version.", _AGAIN) from error
    return Brought(path, tuple(node.name for node in nodes if isinstance(node, _DEFINED)), content)


_DEFINED: Final = (ast.FunctionDef, ast.ClassDef)


def _named(content: bytes) -> str:
    return f"mlops_shipped_{hashlib.sha256(content).hexdigest()[:32]}"
