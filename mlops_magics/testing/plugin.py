"""The pytest plugin: loaded by pytest on its own, at work only where notebooks are tested.

``--mlops-tests`` collects the ``%%mlops_test`` cells of notebooks, ``--mlops-model`` says which model they
are to be run on.

Where nbval validates notebooks, a result about the moment (what is live, a history, a promotion) says so in
its output's metadata:
``mlops_magics.volatile``. For such an output only the type is compared, not what it says; one that is
``transient`` may be there or not.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

Output = Mapping[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("mlops", "mlops-magics: behaviour tests in notebooks")
    group.addoption(
        "--mlops-tests", action="store_true", help="collect the %%%%mlops_test cells of notebooks"
    )
    group.addoption(
        "--mlops-model",
        metavar="MODEL",
        help="run them all on this model, such as flights@challenger, not on the one that each names",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what is missing before anything is collected."""
    asked = config.getoption("mlops_tests")
    if config.getoption("mlops_model") and not asked:
        raise pytest.UsageError("--mlops-model is for --mlops-tests: add it.")
    if asked and importlib.util.find_spec("nbclient") is None:
        raise pytest.UsageError("--mlops-tests needs nbclient: pip install 'mlops-magics[demo]'.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take notebooks, where that was asked for."""
    if file_path.suffix != ".ipynb" or not parent.config.getoption("mlops_tests"):
        return None
    from mlops_magics.testing.notebooks import Notebook

    return Notebook.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let nbval's cells compare outputs of ours as those outputs ask for."""
    for item in items:
        if type(item).__module__.startswith("nbval."):
            _tame(item)


def _tame(item: Any) -> None:  # noqa: ANN401 - nbval ships no types
    compare: Callable[..., bool] = item.compare_outputs

    def compare_outputs(test: Sequence[Output], ref: Sequence[Output], skip_compare: object = None) -> bool:
        kept = stable(ref), stable(test)
        if kept[0][1] != kept[1][1]:
            told = f"results of mlops_magics differ: expected {kept[0][1]}, found {kept[1][1]}"
            item.comparison_traceback = [told]
            return False
        answer = compare(kept[1][0], kept[0][0], skip_compare=skip_compare)
        return bool(answer)

    item.compare_outputs = compare_outputs


def stable(outputs: Sequence[Output]) -> tuple[list[Output], list[str]]:
    """Split outputs into those that are compared in full, and the types of those that are volatile."""
    full: list[Output] = []
    types: list[str] = []
    for output in outputs:
        about = (output.get("metadata") or {}).get("mlops_magics") or {}
        if about.get("transient"):
            continue
        if about.get("volatile"):
            types.append(str(about.get("type")))
        else:
            full.append(output)
    return full, types
