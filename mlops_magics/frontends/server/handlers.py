"""The routes of the Jupyter server extension; all of them refuse who is not logged in."""

from __future__ import annotations

import sys
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from mlops_magics.foundation.version import VERSION


class AboutHandler(APIHandler):
    """Versions on the server's side: a kernel may run in another environment, and the page compares."""

    @web.authenticated
    def get(self) -> None:
        """Answer with our version and Python's."""
        python = ".".join(map(str, sys.version_info[:3]))
        self.finish({"mlops_magics": VERSION, "python": python})


def routes(base_url: str) -> list[tuple[str, Any]]:
    """List the routes below the server's base address."""
    return [(url_path_join(base_url, "mlops-magics", "about"), AboutHandler)]
