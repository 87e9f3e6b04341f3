"""The one place that lets in: who is logged in, on a page of this server, and may by its authorizer."""

from __future__ import annotations

from typing import Final

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async
from tornado import web

DENIED: Final = 403


class Guard(JupyterHandler):
    """Lets nobody in who is not logged in, comes from another page, or may not by the server's authorizer.

    A subclass adds a method and is guarded; there is nothing that it could forget.
    """

    auth_resource = "mlops_magics"

    async def prepare(self) -> None:  # type: ignore[override]
        """Check who asks before any method runs.

        Raises:
            HTTPError: 403, whatever the reason.
        """
        try:
            await super().prepare()
        except web.HTTPError as error:
            raise web.HTTPError(DENIED) from error  # Jupyter says 404 to other origins
        if self.request.method == "OPTIONS" or self._finished:
            return
        if self.current_user is None or not self.check_origin():
            raise web.HTTPError(DENIED)
        if not await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, self.action(), self.auth_resource)
        ):
            raise web.HTTPError(DENIED)

    def action(self) -> str:
        """Name what the server's authorizer is asked for: ``read`` or ``write``."""
        return "read" if self.request.method in {"GET", "HEAD"} else "write"
