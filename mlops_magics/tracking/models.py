"""Models in the store: logged fast and safely, fetched to a folder.

MLflow spends its ten seconds a model on finding the requirements in a subprocess, and its default
format refuses most real models because their types are not on a trust list. Here the pins are found
in this process and the types are vetted by our own list (``artifact.trust``).
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics.artifact import loadback, rows, trust
from mlops_magics.artifact.shipped import Shipped
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.tracking.provenance import pins
from mlops_magics.tracking.store import Store, door, fetching

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # s3://..., mlflow-artifacts:/...; not a drive's C:/
_EXAMPLE_ROWS = 5
_SIGNATURE_ROWS = 200  # types show in few rows; which columns may be empty is read from all
# Makes of models that came back from a file once: whether skops can read one hangs on its types alone.
_READ_BACK: set[frozenset[tuple[str, str]]] = set()
_ALWAYS = ("sklearn", "skops", "numpy", "scipy", "pandas")


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model in the store.

    Attributes:
        model_id: MLflow's id of it.
        uri: Where its files are.
        kind: The class of the estimator; for a pipeline, of its last step.
        format: "skops" or "pickle".
    """

    model_id: str
    uri: str
    kind: str
    format: str


def log_model(
    store: Store,
    run_id: str,
    experiment_id: str,
    estimator: Any,  # noqa: ANN401 - any fitted estimator
    *,
    data: object = None,
    allow_pickle: bool = False,
) -> LoggedModel:
    """Log a fitted estimator as a model of a run.

    Args:
        store: The open store.
        run_id: The run that made it.
        experiment_id: The run's experiment.
        estimator: The fitted scikit-learn estimator.
        data: What it was fitted on (features only), for the signature and the example.
        allow_pickle: Whether pickle may be used where the safe format cannot hold it.

    Returns:
        What was logged.

    Raises:
        RefusedError: The safe format cannot hold it and pickle was not allowed.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        path = Path(folder, "model")
        form = save(estimator, path, data=data, allow_pickle=allow_pickle, run_id=run_id)
        return log_saved(store, run_id, experiment_id, path, form=form, kind=kind_of_model(estimator))


def log_saved(
    store: Store, run_id: str, experiment_id: str, path: Path, *, form: str, kind: str
) -> LoggedModel:
    """Log a model that :func:`save` has made as a model of a run.

    Args:
        store: The open store.
        run_id: The run that made it.
        experiment_id: The run's experiment.
        path: Its folder; MLflow's ids are written into it.
        form: Its format.
        kind: The class of the estimator.

    Returns:
        What was logged.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    with door("The model"):
        tags = {"mlops.format": form, "mlops.kind": kind}
        made = store.client.create_logged_model(experiment_id, name="model", source_run_id=run_id, tags=tags)
        _stamp(path, made)
        store.client.log_model_artifacts(made.model_id, str(path))
        store.client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
        store.client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
    return LoggedModel(made.model_id, made.artifact_location, kind, form)


def save(
    estimator: Any,  # noqa: ANN401 - any fitted estimator
    path: Path,
    *,
    data: object = None,
    allow_pickle: bool = False,
    run_id: str | None = None,
    files: Mapping[str, bytes] | None = None,
    ship: Callable[[tuple[str, ...]], Shipped] | None = None,
) -> str:
    """Save a fitted estimator as an MLflow model in a folder that does not exist yet.

    Args:
        estimator: The estimator.
        path: The folder.
        data: What it was fitted on (features only), for the signature and the example.
        allow_pickle: Whether pickle may be used where the safe format cannot hold it.
        run_id: The run that made it.
        files: What else belongs into the folder, by path: the reference of its rows.
        ship: Writes the user's own definitions of these names as a module that goes along, where they may.

    Returns:
        The format: "skops", or "pickle" where that was needed and allowed.

    Raises:
        RefusedError: The safe format cannot hold it and pickle was not allowed.
    """
    signature, example = _signature(estimator, data)
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        dumped = Path(folder, "model.skops")
        unsafe, trusted = _dumped(estimator, dumped)
        brought = ship(unsafe) if ship is not None and unsafe and dumped.exists() else None
        if brought is not None:
            brought.rename_in(dumped)
            unsafe, files = (), {**(files or {}), **brought.files}
        if unsafe and not allow_pickle:
            raise _unsafe(unsafe)
        modules = (*_ALWAYS, *modules_of(estimator), *(() if brought is None else brought.modules))
        model = _laid_out(
            estimator if unsafe else _stand_in(estimator),
            path,
            run_id=run_id,
            signature=signature,
            input_example=example,
            pip_requirements=list(pins(modules)),
            serialization_format="cloudpickle" if unsafe else "skops",
        )
        rows.write(path, data)  # before the size is taken
        loadback.write(path, estimator)
        _put(path, files or {})
        if not unsafe:
            own = model.flavors["sklearn"]
            own["skops_trusted_types"] = list(trusted)
            shutil.copyfile(dumped, path / own["pickled_model"])
            model.model_size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            model.save(str(path / "MLmodel"))
    return "pickle" if unsafe else "skops"


def _unsafe(names: tuple[str, ...]) -> RefusedError:
    return RefusedError(
        f"The safe format cannot hold this model: {', '.join(names[:3])} is not on the trust list.",
        "Use library classes, or say --allow-code (your own classes go along as source) or "
        "--allow-pickle: it is recorded; whoever loads it must agree.",
    )


def _put(path: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


def _laid_out(estimator: Any, path: Path, *, run_id: str | None, **told: Any) -> Any:  # noqa: ANN401 - MLflow's
    """Let MLflow write a model's folder; return its Model."""
    from mlflow import sklearn as flavor
    from mlflow.models import Model

    model = Model(artifact_path="model", run_id=run_id)
    with warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")  # MLflow's advice on integers and formats is answered above
        flavor.save_model(estimator, str(path), mlflow_model=model, **told)
    return model


def _stand_in(estimator: Any) -> Any:  # noqa: ANN401 - any estimator
    """Make what MLflow may dump and load in the estimator's place; for the estimator that takes long."""
    from sklearn.dummy import DummyRegressor
    from sklearn.preprocessing import FunctionTransformer

    return DummyRegressor() if hasattr(estimator, "predict") else FunctionTransformer()


def _dumped(estimator: Any, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:  # noqa: ANN401 - same
    """Write an estimator in the safe format.

    Returns:
        Why it cannot be: the types that our list does not trust; and the types that only our list trusts.
    """
    import skops.io

    try:
        skops.io.dump(estimator, path)
        found = trust.types(path)
        if not found.foreign:
            trust.check(estimator)  # what no loader would take is said now
            if found.all not in _READ_BACK:
                skops.io.load(path, trusted=list(found.ours))
                _READ_BACK.add(found.all)
    except RefusedError as error:
        return (f"{type(estimator).__name__} ({error.what.rstrip('.')})",), ()
    except Exception as error:  # noqa: BLE001 - skops raises what the object's own code raises
        return (f"{type(estimator).__name__} ({type(error).__name__}: {str(error)[:120]})",), ()
    return found.foreign, found.ours


def unsafe(estimator: Any) -> tuple[str, ...]:  # noqa: ANN401 - any fitted estimator
    """Name what keeps an estimator out of the safe format; nothing where it can be kept so."""
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        return _dumped(estimator, Path(folder, "model.skops"))[0]


def kind_of_model(estimator: Any) -> str:  # noqa: ANN401 - any estimator
    """Name the class that predicts: a pipeline is named after its last step."""
    steps = getattr(estimator, "steps", None)
    return kind_of_model(steps[-1][1]) if steps else type(estimator).__name__


def modules_of(estimator: Any) -> Iterator[str]:  # noqa: ANN401 - any estimator
    """List the modules of an estimator and of all that it holds as parameters."""
    yield type(estimator).__module__
    if hasattr(estimator, "get_params"):
        for value in estimator.get_params(deep=True).values():
            if hasattr(value, "get_params"):
                yield type(value).__module__


def fetch(store: Store, uri: str, folder: Path) -> Path:
    """Bring a model's files to a folder of this machine; files that are here already are not copied.

    Args:
        store: The open store.
        uri: A folder, or an address that MLflow can fetch from.
        folder: Where to put them when they are elsewhere.

    Returns:
        The folder that holds ``MLmodel``.

    Raises:
        NotFoundError: The files are not there.
    """
    if is_folder(uri):
        path = Path(uri.removeprefix("file://"))
    else:
        from mlflow.artifacts import download_artifacts

        with door(f"The model's files ({uri})"), fetching():
            path = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=store.uri))
    if not (path / "MLmodel").is_file():
        raise NotFoundError(
            f"The model's files are not at {path}.",
            "They were moved or deleted; register the model again, or restore them.",
        )
    return path


def is_folder(uri: str) -> bool:
    """Tell whether an address is a folder of some machine, and not one that MLflow can fetch from."""
    return not _SCHEME.match(uri.removeprefix("file://"))


def _signature(estimator: Any, data: object) -> tuple[Any, Any]:  # noqa: ANN401 - MLflow's types
    """Infer the signature from a few rows, and which columns may be empty from all of them."""
    from mlflow.models import infer_signature
    from mlflow.types import ColSpec, Schema

    if data is None:
        return None, None
    if kind_of(data) is None:
        few = data[:_EXAMPLE_ROWS] if hasattr(data, "__getitem__") else None
        return (None, None) if few is None else (infer_signature(few, _answer(estimator, few)), few)
    frame = Frame.of(data)
    few = frame.head(_SIGNATURE_ROWS).to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(few, _answer(estimator, few))
    if signature.inputs.has_input_names():
        gaps = frame.gaps()
        signature.inputs = Schema(
            [
                ColSpec(spec.type, spec.name, required=not gap)
                for spec, gap in zip(signature.inputs.inputs, gaps, strict=True)
            ]
        )
    return signature, few.head(_EXAMPLE_ROWS)


def _answer(estimator: Any, few: Any) -> Any:  # noqa: ANN401 - whatever it predicts
    try:
        return estimator.predict(few)
    except MLOpsError:
        raise
    except Exception as error:
        raise RefusedError(
            f"{kind_of_model(estimator)} cannot predict the rows that it was fitted on: {error}",
            "Check that it is fitted and takes raw rows.",
        ) from error


def _stamp(path: Path, made: Any) -> None:  # noqa: ANN401 - MLflow's LoggedModel
    """Write the model's id into its own file, as MLflow's log_model does."""
    from mlflow.models import Model

    model = Model.load(str(path))
    model.model_id = model.model_uuid = made.model_id
    model.artifact_path = made.artifact_location
    model.save(str(path / "MLmodel"))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep MLflow's general advice on formats out of the cell; ours is more exact."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
