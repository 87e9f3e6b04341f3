"""What has to hold before a release: make release-check. Each finding is a sentence; none is the aim.

Wheel and sdist are built from what git tracks, twice with the same bytes, looked through, installed in an
empty environment and tried there. Beside them it writes their hashes and a list of all that the wheel was
installed with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlops_magics.foundation.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
_UV = str(Path(sys.executable).with_name("uv"))
_HEADING = re.compile(r"^## (?P<version>\d+\.\d+\.\d+) \((?P<state>unreleased|\d{4}-\d{2}-\d{2})\)$")
_STATIC = "mlops_magics/frontends/widgets/static"
_IN_WHEEL = (
    *(
        f"{_STATIC}/{card}.{kind}"
        for card in ("deploy", "monitor", "profile", "promote", "track")
        for kind in ("js", "css")
    ),
    "mlops_magics/py.typed",
    *(f"mlops_magics/pages/{page}.md" for page in ("index", "promote", "deploy")),
    "share/jupyter/labextensions/mlops-magics/package.json",
    "share/jupyter/labextensions/mlops-magics/install.json",
    "etc/jupyter/jupyter_server_config.d/mlops-magics.json",
    "licenses/LICENSE",
)
_IN_SDIST = (
    *(f"{_STATIC}/promote.js", "mlops_magics/labextension/package.json", "widgets/src/cards/promote.ts"),
    *(
        "hatch_build.py",
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "widgets/package-lock.json",
    ),
)
_NOT_IN_WHEEL = ("tests/", "widgets/", "notebooks/", "docs/", "mlops_magics/labextension/")
_NOWHERE = ("node_modules", "__pycache__", ".venv", "mlflow.db", ".env")
_TRIED = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mlops_magics")
print(shell.run_line_magic("mlops_track", "e"))
from mlops_magics.frontends.widgets import CARDS
for name in CARDS.table:
    CARDS.get(name)
"""


def version_findings(root: Path = ROOT) -> Iterator[str]:
    """Hold the numbers that have to be the same against the one place where it stands."""
    for path in (
        "widgets/package.json",
        "widgets/package-lock.json",
        "mlops_magics/labextension/package.json",
    ):
        file = root / path
        found = json.loads(file.read_text(encoding="utf-8"))["version"] if file.is_file() else "missing"
        if found != VERSION:
            yield f"{path} says {found}, the package {VERSION}."


def changelog_findings(text: str, version: str = VERSION) -> Iterator[str]:
    """Look at the changelog: a section a version, the newest first, with what users see in it."""
    seen: list[tuple[int, ...]] = []
    dated = True
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        heading, *lines = section.splitlines()
        match = _HEADING.match(heading)
        if match is None:
            yield f"'{heading}' is no heading of a version: ## 1.2.3 (2027-01-31), or (unreleased)."
            continue
        number = tuple(map(int, match["version"].split(".")))
        if seen and number >= seen[-1]:
            yield f"{match['version']} stands below an older version."
        if match["state"] == "unreleased" and seen:
            yield f"{match['version']} is called unreleased, and a newer one is above it."
        dated = dated and match["state"] != "unreleased"
        seen.append(number)
        entries = [line for line in lines if line.strip()]
        if not any(line.startswith("- ") for line in entries):
            yield f"{match['version']} says nothing."
        for line in entries:
            if not line.startswith(("- ", "  ")):
                yield f"'{line[:60]}' in {match['version']} is no entry."
    if not seen or ".".join(map(str, seen[0])) != version:
        yield f"There is no section of {version} at the top."


def content_findings(wheel: Iterable[str], sdist: Iterable[str]) -> Iterator[str]:
    """Look through the names in both files; the sdist's without their top folder."""
    held, packed = list(wheel), list(sdist)
    lacking = [name for name in _IN_WHEEL if not any(path.endswith(name) for path in held)]
    yield from (f"The wheel lacks {name}." for name in lacking)
    yield from (f"The sdist lacks {name}." for name in _IN_SDIST if name not in packed)
    if not any(re.search(r"labextensions/mlops-magics/static/remoteEntry\.\w+\.js$", path) for path in held):
        yield "The wheel lacks the panel."
    yield from (f"The wheel holds {path}." for path in held if path.startswith(_NOT_IN_WHEEL))
    for path in (*held, *packed):
        if any(word in path.split("/") for word in _NOWHERE):
            yield f"{path} is nobody's."
    if len(set(held)) != len(held):
        yield "The wheel holds a name twice."


def built(into: Path) -> tuple[Path, Path]:
    """Build both from the files that git tracks alone: what else lies in the tree must not help."""
    into.mkdir(parents=True, exist_ok=True)
    for old in (*into.glob("*.whl"), *into.glob("*.tar.gz")):
        old.unlink()
    with tempfile.TemporaryDirectory() as place:
        for name in filter(None, _told("git", "ls-files", "-z", folder=ROOT).split("\0")):
            if (ROOT / name).is_file():
                (Path(place) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(place) / name).write_bytes((ROOT / name).read_bytes())
        _told(_UV, "build", "--quiet", "--out-dir", str(into), place, folder=ROOT)
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, sdist


def repeated_findings(wheel: Path, sdist: Path) -> Iterator[str]:
    """Build both once more, elsewhere: who doubts a release must get the same bytes."""
    with tempfile.TemporaryDirectory() as place:
        for first, again in zip((wheel, sdist), built(Path(place)), strict=True):
            if first.read_bytes() != again.read_bytes():
                yield f"{first.name} has other bytes when it is built again."


def names_in(wheel: Path, sdist: Path) -> tuple[list[str], list[str]]:
    """List what both hold."""
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as packed:
        inside = [name.partition("/")[2] for name in packed.getnames()]
        return archive.namelist(), inside


def tried(wheel: Path) -> list[dict[str, Any]]:
    """Install the wheel in an empty environment, load it there, and list what was installed with it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _told(_UV, "venv", "--quiet", "--python", sys.executable, "env", folder=folder)
        python = str(folder / "env" / "bin" / "python")
        pins = str(ROOT / "constraints.txt")
        _told(_UV, "pip", "install", "--quiet", "--python", python, "-c", pins, str(wheel), folder=folder)
        _told(_UV, "pip", "check", "--python", python, folder=folder)
        (folder / "project" / ".mlops").mkdir(parents=True)
        said = _told(python, "-c", _TRIED, folder=folder / "project")
        assert "Experiment e" in said, said
        version = _told(str(Path(python).with_name("mlops")), "--version", folder=folder)
        assert version.split() == ["mlops-magics", VERSION], version
        listed = _told(_UV, "pip", "list", "--python", python, "--format", "json", folder=folder)
        found: list[dict[str, Any]] = json.loads(listed)
        return found


def bill(packages: Iterable[dict[str, Any]], wheel: Path) -> dict[str, Any]:
    """Write down what the wheel was installed with, in CycloneDX's form."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    parts = [
        _part(each["name"], each["version"])
        for each in sorted(packages, key=lambda each: str(each["name"]))
        if each["name"] != "mlops-magics"
    ]
    whole = {**_part("mlops-magics", VERSION), "hashes": [{"alg": "SHA-256", "content": digest}]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": whole},
        "components": parts,
    }


def _part(name: str, version: str) -> dict[str, Any]:
    address = f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version)}"
    return {"type": "library", "bom-ref": address, "name": name, "version": version, "purl": address}


def bill_findings(told: dict[str, Any]) -> Iterator[str]:
    """Hold the list of packages against CycloneDX's own schema, and each address against its own form."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from packageurl import PackageURL

    version = SchemaVersion.from_version(told["specVersion"])
    error = JsonStrictValidator(version).validate_str(json.dumps(told))
    if error is not None:
        yield f"The list of packages is no CycloneDX {told['specVersion']}: {str(error.data)[:300]}"
    for part in (told["metadata"]["component"], *told["components"]):
        written = PackageURL("pypi", None, part.get("name") or "?", part.get("version")).to_string()
        if part["purl"] != written:
            yield f"{part.get('name')} has the address {part['purl']}, not {written}."


def main(into: Path) -> int:
    """Do all of it.

    Args:
        into: Where wheel, sdist, hashes and the list of packages go.

    Returns:
        How many findings there are.
    """
    findings = [*version_findings(), *changelog_findings((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))]
    wheel, sdist = built(into)
    findings += [
        f"{path.name} is of another version than {VERSION}."
        for path in (wheel, sdist)
        if not path.name.startswith(f"mlops_magics-{VERSION}")
    ]
    findings += repeated_findings(wheel, sdist)
    findings += content_findings(*names_in(wheel, sdist))
    _told(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist), folder=ROOT)
    told_of = bill(tried(wheel), wheel)
    findings += bill_findings(told_of)
    (into / "sbom.json").write_text(json.dumps(told_of, indent=1) + "\n", encoding="utf-8")
    hashed = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted((wheel, sdist))
    )
    (into / "SHA256SUMS").write_text(hashed, encoding="ascii")
    told = (
        "\n".join(findings) or f"{wheel.name} and {sdist.name} may go out; sign SHA256SUMS (docs/release.md)."
    )
    sys.stdout.write(f"{told}\n{hashed}")
    return len(findings)


def _told(*command: str, folder: Path) -> str:
    """Run a program without what this process is told of stores and paths; what it says."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLOPS_", "PYTHONPATH"))}
    kept["MLOPS_STATE"] = str(folder / "state")
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1]).resolve()), 1))
