"""The container target: a build context with a Dockerfile, for whichever tool builds images."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import ClassVar, Final

from mlops_magics.artifact import served
from mlops_magics.targets.base import Request
from mlops_magics.targets.folder import Content
from mlops_magics.targets.image import (
    HOME,
    REQUIREMENTS,
    SERVER,
    TOKEN_VARIABLE,
    USER,
    checked_image,
    context,
    port,
    python_of,
)
from mlops_magics.targets.wheel import NAME
from mlops_magics.targets.written import WrittenTarget, one_copy

# Nothing in it is anybody's text: names of models and endpoints are in served.json.
_BASE: Final = f"""\
ARG BASE=python:{{python}}-slim
FROM ${{{{BASE}}}}
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \\
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
WORKDIR {HOME}
COPY {REQUIREMENTS} {NAME} ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check -r {REQUIREMENTS}
COPY {served.FILE} ./
COPY {served.MODEL} {served.MODEL}
USER {USER}:{USER}
"""
_SERVING: Final = f"""\
EXPOSE {{port}}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \\
    CMD ["python", "-P", "-m", "{SERVER}", "health", "{HOME}"]
ENTRYPOINT ["python", "-P", "-m", "{SERVER}"]
CMD ["serve", "{HOME}"]
"""
_IGNORED: Final = f"*\n!{REQUIREMENTS}\n!{NAME}\n!{served.FILE}\n!{served.MODEL}\n"


class ContainerTarget(WrittenTarget):
    """Writes all that an image is built from, beside its base and the packages that are pinned."""

    name: ClassVar[str] = "container"

    def files(self, request: Request) -> Mapping[str, Content]:
        """Make the build context."""
        one_copy(request, self.name)
        if request.image is not None:
            checked_image(request.image)
        return {
            **context(request),
            "Dockerfile": dockerfile(request).encode(),
            ".dockerignore": ignored().encode(),
        }

    def then(self, request: Request, folder: str) -> tuple[str, ...]:
        """Say how the image is built and run."""
        image, inside = request.image or default_image(request), port(request)
        run = f"docker run --read-only --tmpfs /tmp --cap-drop ALL -e {TOKEN_VARIABLE}"
        return (
            f"docker build -t {image} {quoted(folder)}",
            f"{run} -p 127.0.0.1:{inside}:{inside} {image}",
        )


def dockerfile(request: Request) -> str:
    """Write the Dockerfile of an image that serves on its own."""
    return base_of(request) + _SERVING.format(port=port(request))


def base_of(request: Request) -> str:
    """Write the Dockerfile of an image that holds the model and the server, and starts neither."""
    return _BASE.format(python=python_of(request.model_path))


def ignored() -> str:
    """Write what keeps all else in the folder out of an image."""
    return _IGNORED


def default_image(request: Request) -> str:
    """Name an image after the endpoint and the version."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.name.lower()).strip("-") or "model"
    return f"{stem}:{request.version}"


def quoted(folder: str) -> str:
    """Write a folder so that a shell takes it as one word."""
    return shlex.quote(folder)
