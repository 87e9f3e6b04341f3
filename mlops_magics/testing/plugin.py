"""The pytest plugin: loaded by pytest on its own, at work only where notebooks are tested.

``--mlops-tests`` collects the ``%%mlops_test`` cells of notebooks, ``--mlops-model`` says which model they
are to be run on.

``--mlops-orphans`` fails a notebook whose outputs no execution has left, or of which cells were not executed,
or in another order than they stand in. Without it, whatever is collected of a notebook (by nbval, too), a
section at the end says so.

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
_BOOKS = pytest.StashKey[list[Path]]()


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
    group.addoption(
        "--mlops-orphans",
        action="store_true",
        help="fail notebooks with outputs that no execution has left, or cells not executed in their order",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what is missing before anything is collected."""
    asked = config.getoption("mlops_tests")
    if config.getoption("mlops_model") and not asked:
        raise pytest.UsageError("--mlops-model is for --mlops-tests: add it.")
    if asked and importlib.util.find_spec("nbclient") is None:
        raise pytest.UsageError("--mlops-tests needs nbclient: pip install 'mlops-magics[demo]'.")
    if config.getoption("mlops_orphans"):
        config.pluginmanager.register(_Orphans(), "mlops_magics_orphans")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take notebooks, where that was asked for."""
    if file_path.suffix != ".ipynb" or not parent.config.getoption("mlops_tests"):
        return None
    from mlops_magics.testing.notebooks import Notebook

    return Notebook.from_parent(parent, path=file_path)


class _Orphans:
    """Collects notebooks a second time, to be read only: beside whatever else tests them."""

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.suffix != ".ipynb":
            return None
        from mlops_magics.testing.saved import Saved

        return Saved.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let nbval's cells compare outputs of ours as those outputs ask for; keep which notebooks there are."""
    for item in items:
        if type(item).__module__.startswith("nbval."):
            _tame(item)
    config.stash[_BOOKS] = sorted({item.path for item in items if item.path.suffix == ".ipynb"})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # noqa: ANN401 - pytest's own
    """Say of the notebooks that were tested what in them does not come of their cells."""
    books = config.stash.get(_BOOKS, [])
    if not books or config.getoption("mlops_orphans"):
        return
    from mlops_magics.testing.saved import noticed

    found = [(path, told) for path in books for told in noticed(path)]
    if found:
        terminalreporter.section("noticed in notebooks")
        for path, told in found:
            terminalreporter.write_line(f"{path.name}: {told}")


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
