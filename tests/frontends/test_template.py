"""The notebook that the launcher makes: each of its cells runs on a fresh project, as a reader runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

TEMPLATE = Path(__file__).resolve().parents[2] / "widgets" / "src" / "lab" / "template.json"


def test_the_template_leads_to_a_registered_model(
    shell: Any, store_file: Path, run: Callable[..., Any]
) -> None:
    assert store_file
    run(shell, "%config MLOps.standby = False")
    cells = json.loads(TEMPLATE.read_text("utf-8"))["cells"]
    for cell in cells:
        if cell["kind"] == "code":
            run(shell, cell["source"])
    (last,) = (cell["source"] for cell in cells[-1:])
    promote = next(line for line in last.splitlines() if line.startswith("%mlops_promote"))
    run(shell, promote)
    store = open_store(Settings.discover())
    assert registry.aliases_of(store, "wine") == {"candidate": "1", "champion": "1"}
    assert shell.user_ns["run"].ids()["name"] == "baseline"
