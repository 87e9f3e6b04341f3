"""Models that MLflow itself loads, as a function from rows to answers: this runs any code that they hold.

``python -m mlops_magics.tracking.pyfunc FOLDER`` tries one in a process of its own, as
``python -m mlops_magics.artifact`` does with others. Only the folder is read: no store is asked.
"""

from __future__ import annotations

import contextlib
import inspect
import shutil
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from mlops_magics.artifact.brought import FOLDER
from mlops_magics.artifact.foreign import Asks
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.tracking.own_code import OwnCode

PROVES: Final = "mlops_magics.tracking.pyfunc"
"""The module that a fresh process runs to prove such a model."""

_FLAVOR: Final = "python_function"
_BROUGHT: Final[list[Path]] = []  # folders of code that models brought into this process


def opened(folder: Path) -> Asks:
    """Let MLflow load a copy of a model folder. Who calls this has agreed to run whatever is in it.

    The copy stays as long as the model: what it reads only when it is asked must be there, and what it may
    write must not lie among the files of a store.

    Args:
        folder: The model folder; it may be gone afterwards.

    Returns:
        What asks the model.

    Raises:
        MLOpsError: It cannot be loaded.
    """
    place = tempfile.mkdtemp(prefix="mlops-")
    try:
        own = Path(shutil.copytree(folder, Path(place, "model"), symlinks=True))
        asks = _opened(own, OwnCode(own).there)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    weakref.finalize(asks, shutil.rmtree, place, ignore_errors=True)
    return asks


def opened_in_place(folder: Path) -> Asks:
    """Let MLflow load a model folder that is there for it alone, in a process that is there to ask it.

    What it brings along stays where it is imported from: no other model that brings modules of the same names
    may be asked in this process, unless they are the same modules.

    Args:
        folder: The model folder.

    Returns:
        What asks the model: from a frame whose columns have the types of the signature to its answer.
        Parameters that the signature names have their defaults.

    Raises:
        MLOpsError: It cannot be loaded.
    """
    _forget_others(folder)
    return _opened(folder, contextlib.nullcontext)


def _opened(folder: Path, there: Callable[[], AbstractContextManager[None]]) -> Asks:
    try:
        with there(), _unchanged(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions; the pins were compared where it is deployed
            import mlflow.pyfunc  # it warns of its own annotations

            model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    except ModuleNotFoundError as error:
        raise MLOpsError(
            f"MLflow cannot load the model: {error.name} is not installed.",
            "Install the packages of its requirements.txt, in the same versions.",
        ) from error
    except Exception as error:
        raise MLOpsError(
            f"MLflow cannot load the model ({type(error).__name__}: {str(error)[:200]}).",
            "Load it in a new kernel with mlflow.pyfunc.load_model to see where it stops.",
        ) from error
    return _asks(model, there)


def untraced() -> None:
    """Let nothing that a model does in this process be traced: a server writes to no store."""
    import mlflow.tracing

    mlflow.tracing.disable()


def _asks(model: Any, there: Callable[[], AbstractContextManager[None]]) -> Asks:  # noqa: ANN401 - MLflow's PyFuncModel
    """Go around MLflow's own look at the types: the rows have them already, and it takes milliseconds."""
    told = model.metadata
    schema, params = told.get_input_schema(), told.get_params_schema()
    named = schema is None or bool(schema.has_input_names())
    given = None if params is None else {each.name: each.default for each in params}
    hinted = told._is_signature_from_type_hint() or told._is_type_hint_from_example()  # noqa: SLF001 - as its own predict asks
    general = told.flavors[_FLAVOR]
    ask = getattr(model._model_impl, general.get("predict_fn", "predict"))  # noqa: SLF001 - MLflow calls it stable
    wanted = inspect.signature(ask).parameters.get("params")
    takes = wanted is not None and wanted.kind is not inspect.Parameter.VAR_KEYWORD

    def asked(rows: Any) -> Any:  # noqa: ANN401 - a pandas frame in, whatever it answers out
        table = rows if named else rows.set_axis(range(rows.shape[1]), axis=1)
        with there(), _unchanged():
            if hinted:  # its rows become what the function's annotations name, which only MLflow can do
                return model.predict(table)
            return ask(table, params=given) if takes else ask(table)

    return asked


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Let Python put no bytecode beside the code of a model: its files are held against their digests."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _forget_others(folder: Path) -> None:
    """Forget modules that another model brought: one of the same name would be taken for this one's."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(Path(file).is_relative_to(each) for each in _BROUGHT):
            del sys.modules[name]
    if (folder / FOLDER).is_dir():
        _BROUGHT.append(folder / FOLDER)


if __name__ == "__main__":
    from mlops_magics.artifact.__main__ import main

    untraced()
    sys.exit(main(opens=opened_in_place))
