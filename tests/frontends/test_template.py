"""The notebook that the launcher makes: each of its cells runs on a fresh project, as a reader runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import registry
from mlops_magics.tracking.store import open_store

TEMPLATE = Path(__file__).resolve().parents[2] / "widgets" / "src" / "lab" / "template.json"


def test_the_template_leads_to_an_endpoint_that_is_watched(
    shell: Any, store_file: Path, run: Callable[..., Any]
) -> None:
    assert store_file
    run(shell, "%config MLOps.standby = False")
    cells = json.loads(TEMPLATE.read_text("utf-8"))["cells"]
    shown = [run(shell, cell["source"]).result for cell in cells if cell["kind"] == "code"]
    # The last one is a card; without a page it says the line that does what its button does.
    (promote,) = [line.strip() for line in str(shown[-1]).splitlines() if "WHY" in line]
    run(shell, promote.replace("WHY", "the first one"))
    store = open_store(Settings.discover())
    assert registry.aliases_of(store, "tumours") == {"candidate": "1", "champion": "1"}
    assert shell.user_ns["run"].ids()["name"] == "baseline"
    # What comes after the champion stands as lines in the last text.
    lines = [line for line in cells[-1]["source"].splitlines() if line.startswith("%mlops_")]
    try:
        live, answers, seen = [run(shell, line).result for line in lines]
        assert live.model == "tumours"
        assert len(answers.values) == len(shell.user_ns["test"])
        assert seen.model == "tumours"
    finally:
        run(shell, "%mlops_deploy tumours --remove")
