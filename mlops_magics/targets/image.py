"""What goes into an image: the model's files, the server's own wheel, pins, and what is served."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mlops_magics.artifact import foreign, manifest, served
from mlops_magics.artifact.described import description
from mlops_magics.artifact.served import Served
from mlops_magics.foundation.errors import UsageError
from mlops_magics.targets.base import Request
from mlops_magics.targets.folder import Content
from mlops_magics.targets.wheel import NAME, wheel

USER: Final = 10001  # a number: only then can Kubernetes see that it is not root
PORT: Final = 8080
TOKEN_VARIABLE: Final = "MLOPS_TOKEN_SHA256"  # noqa: S105 - a variable's name
SERVER: Final = "mlops_magics.frontends.elsewhere"
HOME: Final = "/srv"
REQUIREMENTS: Final = "requirements.txt"

# What the server imports, beside what the model pins itself.
_IMPORTED: Final = (
    "cloudpickle", "httptools", "numpy", "orjson", "pandas", "platformdirs", "psutil", "pyarrow", "PyYAML",
    "scikit-learn", "skops", "threadpoolctl", "uvloop", "xxhash",
)  # fmt: skip
_PYTHON: Final = re.compile(r"^\s*-?\s*python:?\s*=?\s*(3\.\d+)", re.MULTILINE)
_BARE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[A-Za-z0-9._, -]*\])?")
_LAST_PORT: Final = 65535
_FIRST_PORT: Final = 1024  # below it only root may listen
_IMAGE: Final = re.compile(
    r"(?=.{1,255}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def context(request: Request, extra: Iterable[str] = ()) -> dict[str, Content]:
    """Make the files of an image, all but its Dockerfile.

    Args:
        request: What is to be served.
        extra: More requirements.

    Returns:
        Path in the folder -> content.

    Raises:
        RefusedError: The model's files are not those that were registered.
        UsageError: The port cannot be had in a container.
    """
    manifest.verify(request.model_path, request.digest)
    listed = [*manifest.sizes(request.model_path), manifest.NAME]
    files: dict[str, Content] = {f"{served.MODEL}/{name}": request.model_path / name for name in listed}
    files[served.FILE] = Served(
        name=request.name,
        model=request.model,
        version=request.version,
        digest=request.digest,
        allow_pickle=request.allow_pickle,
        allow_code=request.allow_code,
        port=port(request),
        workers=request.workers,
        limits=request.limits,
        contract=request.contract,
    ).to_json()
    # MLflow writes itself into the pins of each model. Only code of an author's own could want it here.
    unwanted = () if request.allow_code else ("mlflow",)
    loads = ("mlflow",) if foreign.flavors(description(request.model_path)) else ()
    files.update(pins(request.model_path, (*_IMPORTED, *loads, *extra), unwanted))
    return files


def port(request: Request) -> int:
    """Choose the port that a container listens on.

    Raises:
        UsageError: Only root could listen there.
    """
    wanted = request.port or PORT
    if not _FIRST_PORT <= wanted <= _LAST_PORT:
        raise UsageError(
            f"A container without root cannot listen on port {wanted}.",
            f"Choose one from {_FIRST_PORT} to {_LAST_PORT}, or leave --port out for {PORT}.",
        )
    return wanted


def python_of(model: Path) -> str:
    """Say which Python made a model, as far as an image needs it; the one here where it is untold."""
    for name in ("python_env.yaml", "conda.yaml"):
        file = model / name
        if file.is_file() and (match := _PYTHON.search(file.read_text(encoding="utf-8"))):
            return match[1]
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def checked_image(name: str) -> str:
    """Accept the name of a container image.

    Raises:
        UsageError: It is none.
    """
    if not _IMAGE.fullmatch(name):
        raise UsageError(
            f"{name[:40]!r} is not the name of a container image.",
            "Write it as registry.example.com/team/flights:3, with small letters.",
        )
    return name


def needed_image(request: Request) -> str:
    """Hand out the image that is named, for a target that cannot do without.

    Raises:
        UsageError: None is named, or the name is none.
    """
    if request.image is None:
        raise UsageError(
            "Which image shall run?",
            "Build one from %mlops_deploy MODEL --to container, and name it: --image NAME.",
        )
    return checked_image(request.image)


def pins(model: Path, more: Iterable[str], unwanted: Iterable[str] = ()) -> dict[str, Content]:
    """Say what is to be installed: a model's own pins, more in the versions installed here, our own wheel.

    What the model names without a version gets the one installed here, where there is one: an image that is
    built later is to be the same.

    Args:
        model: The model's folder.
        more: Requirements; one that the model names itself is left to it.
        unwanted: What the model pins and is to be left out.

    Returns:
        The file of requirements, and the wheel that it names.
    """
    left_out = {"mlops-magics", *unwanted}
    file = model / REQUIREMENTS
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    lines = [_pin(line) for line in lines if _normal(line) not in left_out]
    pinned = {_normal(line) for line in lines}
    lines += [_pin(name) for name in more if _normal(name) not in pinned]
    text = "".join(f"{line}\n" for line in [*sorted(lines, key=str.lower), f"./{NAME}"])
    return {REQUIREMENTS: text.encode(), NAME: wheel()}


def _pin(requirement: str) -> str:
    """Give a requirement without a version the one that is installed here."""
    bare = _BARE.fullmatch(requirement)
    if bare is None:
        return requirement
    try:
        version = importlib.metadata.version(bare[1])
    except importlib.metadata.PackageNotFoundError:
        return requirement
    return f"{requirement}=={version.partition('+')[0]}"  # behind it is how it was built here


def _normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0]).lower()
