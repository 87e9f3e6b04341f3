"""``python -m mlops_magics.frontends.rerun FOLDER``: execute a recipe, and tell what came of it.

The folder holds ``slice.json``; ``told.json`` is written beside it. The process ends when its stdin does,
so that none outlives the kernel that asked for it.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import Any

import orjson

from mlops_magics.lineage.recipe import Recipe, Step


def main(folder: Path) -> None:
    """Execute the recipe in a folder.

    Args:
        folder: Where it lies.
    """
    threading.Thread(target=_end_with_the_kernel, daemon=True).start()
    recipe = Recipe.of_json((folder / "slice.json").read_text(encoding="utf-8"))
    shell = _shell()
    *before, last = recipe.steps
    for step in before:
        told = _executed(shell, recipe, step)
        if told:
            break
    else:
        told = _recorded(shell, recipe, last)
    (folder / "told.json").write_bytes(orjson.dumps(told))


def _end_with_the_kernel() -> None:
    os.read(0, 1)  # nothing is ever written into it
    os._exit(1)


def _shell() -> Any:  # noqa: ANN401 - IPython ships no types
    """Make a shell whose names are those of ``__main__``, as a notebook's are; it keeps no history."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    page = types.ModuleType("__main__")
    sys.modules["__main__"] = page
    quiet = Config()
    quiet.HistoryManager.enabled = False
    return InteractiveShell.instance(config=quiet, user_module=page, user_ns=page.__dict__)


def _executed(shell: Any, recipe: Recipe, step: Step) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Execute a cell; tell how it failed, or nothing."""
    from mlops_magics.frontends.magics.cells import compiled

    try:
        compiled(shell, "\n".join([*recipe.futures, step.code])).run()
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises
        return _failure(step, error) if step.ok else {}
    return {}


def _recorded(shell: Any, recipe: Recipe, step: Step) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Execute the run's own cell as the run did; tell what it read and what came of it."""
    from mlops_magics.frontends.magics.cells import compiled
    from mlops_magics.lineage.fits import observed
    from mlops_magics.steps.track.attempt import Outcome, Start
    from mlops_magics.steps.track.body import Body, Options
    from mlops_magics.tracking.provenance import Source
    from mlops_magics.tracking.searches import Cell, executed

    try:
        cell = compiled(shell, "\n".join([*recipe.futures, step.code]))
        body = Body(Source(step.code), cell.code, shell.user_ns, cell.run)
        asked = dict(recipe.options) | {"metrics": tuple(recipe.options.get("metrics", ()))}
        start = Start.of(body, Options(**asked))
        searching = Cell("", lambda known: known or "", dry=True)  # a search is not logged again
        with observed(body.code) as fits, executed(searching):
            body.run()
        outcome = Outcome.of(start, fits.seen, searching.found)
    except BaseException as error:  # noqa: BLE001 - as above
        return _failure(step, error)
    return {
        "reads": dict(start.key.reads),
        "opaque": list(start.key.opaque),
        "metrics": dict(outcome.metrics),
        "outcome": outcome.digest,
    }


def _failure(step: Step, error: BaseException) -> dict[str, Any]:
    words = str(error) or type(error).__name__
    return {
        "failed": f"Cell {step.number} raised {type(error).__name__}: {words}"[:2000],
        "traceback": "".join(traceback.format_exception(error))[-8000:],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
