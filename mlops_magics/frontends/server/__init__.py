"""The Jupyter server's side: what the pages may ask without a kernel. Each route needs Jupyter's login."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "mlops_magics.frontends.server"}]


_SETTLED = 1.0  # seconds that the server's own start has for itself


def _load_jupyter_server_extension(server: Any) -> None:  # noqa: ANN401 - jupyter_server ships no types
    import atexit
    from pathlib import Path

    from mlops_magics.frontends.server.handlers import routes
    from mlops_magics.frontends.server.panel import Panel

    base_url = server.web_app.settings["base_url"]
    panel = Panel(Path(server.root_dir).expanduser(), base_url)
    atexit.register(panel.close)
    server.web_app.add_handlers(".*$", routes(base_url, panel))
    server.io_loop.call_later(_SETTLED, panel.warm)
