"""The server behind Ray Serve: a replica is one process with the model, and Ray's proxy asks it.

``serve.json`` names :func:`build` as its import path.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final

from mlops_magics.frontends.elsewhere.app import make

_RAYS: Final = frozenset({b"content-length", b"x-request-id"})  # Starlette and Ray's proxy write them
_FOLDER: Final = "MLOPS_FOLDER"  # where the files lie, in place of what serve.json says


class Model:
    """A replica.

    Args:
        folder: Where ``served.json`` and the model lie.
    """

    def __init__(self, folder: str) -> None:
        self._app = make(Path(os.environ.get(_FOLDER, folder)), os.environ, warm=True)

    async def __call__(self, request: Any) -> Any:  # noqa: ANN401 - Starlette's, which comes with Ray Serve
        """Answer a request with the same routes, guard and errors as an endpoint on its own.

        Args:
            request: What Ray's proxy took.
        """
        from starlette.responses import Response

        body = await request.body()
        told = asyncio.Queue[dict[str, Any]]()
        told.put_nowait({"type": "http.request", "body": body, "more_body": False})
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's
            sent.append(message)

        # A client that leaves is Ray's to notice: it cancels this call.
        await self._app(request.scope, told.get, send)
        start = sent[0]
        answer = Response(b"".join(message.get("body", b"") for message in sent[1:]), start["status"])
        answer.raw_headers += [pair for pair in start["headers"] if pair[0] not in _RAYS]
        return answer


def build(args: dict[str, Any]) -> Any:  # noqa: ANN401 - Ray's
    """Make the application that ``serve.json`` describes.

    Args:
        args: ``folder``: where the files lie.
    """
    from ray import serve

    return serve.deployment(Model, name="Model").bind(str(args["folder"]))
