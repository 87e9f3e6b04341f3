"""The one loader: an MLflow model folder becomes an estimator, or a refusal that names the reason.

MLflow's own loader believes the folder: its list of trusted types, its code folder, its loader
module. This one believes nothing in it. Only the sklearn flavor is read, only our own list of types
counts, and a pickle is opened only where the caller has consented in this very call.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal, cast

from mlops_magics.artifact import shipped, trust
from mlops_magics.artifact.schema import Schema, read
from mlops_magics.foundation.errors import (
    MissingExtraError,
    MLOpsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

Method = Literal["predict", "predict_proba"]

_AGAIN = "Log the model again with %mlops_track; a folder that was altered by hand is not loaded."
_DESCRIPTION_BYTES = 4 * 1024 * 1024  # an MLmodel file is a few kilobytes
_EXAMPLE_BYTES = 64 * 1024 * 1024
_NAMED = 3  # untrusted types that a sentence names
_EXTRAS = frozenset({"lightgbm", "xgboost"})
_LISTED = 8  # definitions that a model brings along, likewise
_PICKLES = frozenset({"pickle", "cloudpickle"})
_TOLD = ("model_id", "model_uuid", "run_id", "mlflow_version", "utc_time_created", "metadata")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that passed every check.

    Attributes:
        estimator: The fitted scikit-learn estimator.
        schema: The columns that it takes; None where the signature is missing or no plain table.
        outputs: The columns that it answers with, under the same rule.
        example: The stored example as a pandas frame, or None.
        predict_fn: What a request gets that does not ask: "predict" or "predict_proba".
        metadata: What the folder says about itself: ids, versions, "format", "sklearn_version".
        null: What the estimator learned as a missing string: NaN, or None.
    """

    estimator: Any
    schema: Schema | None
    outputs: Schema | None
    example: Any
    predict_fn: Method
    metadata: Mapping[str, Any] = field(default_factory=dict)
    null: float | None = math.nan


def load(path: Path, *, allow_pickle: bool = False, allow_code: bool = False) -> LoadedModel:
    """Load an MLflow model folder that holds a scikit-learn model.

    Args:
        path: The folder with the ``MLmodel`` file.
        allow_pickle: Whether the caller consents to run the code in a pickle.
        allow_code: Whether the caller consents to run the code of its author that the model brings along.

    Returns:
        The model.

    Raises:
        RefusedError: Something in the folder is not allowed; the message names it.
        NotFoundError: The folder or a file of it is missing.
        MLOpsError: A file cannot be read.
    """
    if not path.is_dir():
        raise NotFoundError(f"There is no model folder at {path}.", "Check the path, or register it again.")
    _plain_files(path)
    description = _description(path)
    flavor, general = _flavors(description)
    form = str(flavor.get("serialization_format", "pickle"))
    own = _code(path, allow_code=allow_code)
    file = _member(path, flavor.get("pickled_model"), "model file")
    estimator = _estimator(file, form, own, allow_pickle=allow_pickle)
    schema, null = read(description.get("signature"), "inputs"), _null(estimator)
    told = {name: description[name] for name in _TOLD if description.get(name) is not None}
    return LoadedModel(
        estimator=estimator,
        schema=schema,
        outputs=read(description.get("signature"), "outputs"),
        example=_example(path, description, schema, null),
        predict_fn=_method(general, estimator),
        metadata={**told, "format": form, "sklearn_version": str(flavor.get("sklearn_version", ""))},
        null=null,
    )


def stored_example(path: Path, estimator: object) -> Any:  # noqa: ANN401 - a pandas frame
    """Read the example of a model folder as :func:`load` does, for an estimator that is at hand.

    Args:
        path: The folder.
        estimator: The estimator that it was saved from.

    Returns:
        The example as a pandas frame, or None.
    """
    description = _description(path)
    return _example(path, description, read(description.get("signature"), "inputs"), _null(estimator))


def _plain_files(folder: Path) -> None:
    """Refuse links of both kinds and everything that is neither a file nor a folder."""
    for entry in _entries(folder):
        name = Path(entry.path).relative_to(folder).as_posix()
        status = entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            raise RefusedError(f"{name} in the model folder is a symbolic link.", _AGAIN)
        if stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(f"{name} in the model folder is not a plain file.", _AGAIN)
        if status.st_nlink > 1:
            raise RefusedError(
                f"{name} in the model folder is a hard link: another name leads to the same file.",
                "Copy the folder (cp -r makes plain files) and load the copy.",
            )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            for entry in sorted(found, key=lambda one: one.name):
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries(Path(entry.path))
    except OSError as error:
        raise UnavailableError(
            f"The model folder cannot be read: {error.strerror} ({folder}).", "Check its permissions."
        ) from error


def _read(path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise RefusedError(f"{path.name} is larger than {most:,} bytes.", _AGAIN)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"The model folder has no {path.name}.", _AGAIN) from error
    except OSError as error:
        raise UnavailableError(
            f"{path.name} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error


def _description(folder: Path) -> Mapping[str, Any]:
    """Read the MLmodel file as plain data."""
    import yaml

    text = _read(folder / "MLmodel", _DESCRIPTION_BYTES)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise MLOpsError("The MLmodel file cannot be read as YAML.", _AGAIN) from error
    if not isinstance(found, dict):
        raise MLOpsError("The MLmodel file does not describe a model.", _AGAIN)
    if (folder / "code").exists():
        raise RefusedError("The model brings its own code (the folder 'code').", _NO_CODE)
    return found


_NO_CODE = "Code of a model is never run: log it without code_paths, from classes of installed packages."


def _flavors(description: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Take the sklearn flavor and the general one, and refuse what would run code."""
    flavors = description.get("flavors")
    sklearn = flavors.get("sklearn") if isinstance(flavors, dict) else None
    if not isinstance(flavors, dict) or not isinstance(sklearn, dict):
        names = ", ".join(sorted(map(str, flavors))) if isinstance(flavors, dict) else "none"
        raise RefusedError(
            f"The model has no sklearn flavor (it has: {names}).",
            "Only the sklearn flavor is read: log the estimator, or a scikit-learn wrapper of it, with "
            "mlflow.sklearn or in a %%mlops_track cell.",
        )
    general = flavors.get("python_function") or {}
    if not isinstance(general, dict):
        raise MLOpsError("The MLmodel file does not describe a model.", _AGAIN)
    module = general.get("loader_module", "mlflow.sklearn")
    if module != "mlflow.sklearn":
        raise RefusedError(f"The model wants to be loaded by the module {module!r}.", _NO_CODE)
    for part in (sklearn, general):
        if part.get("code"):
            raise RefusedError(f"The model brings its own code ({str(part['code'])[:80]!r}).", _NO_CODE)
    return sklearn, general


def _member(folder: Path, name: object, what: str) -> Path:
    """Find a file that the folder names, inside of the folder only."""
    if not isinstance(name, str) or not name:
        raise MLOpsError(f"The MLmodel file names no {what}.", _AGAIN)
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    inside = not absolute and ".." not in parts and "\0" not in name
    if not inside or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise RefusedError(f"The {what} {name[:80]!r} is outside of the model folder.", _AGAIN)
    if not (folder / name).is_file():
        raise NotFoundError(f"The {what} {name[:80]!r} is missing.", _AGAIN)
    return folder / name


def _code(folder: Path, *, allow_code: bool) -> frozenset[str]:
    """Bring in the code of a model's author; return the types that it may hold because of it."""
    brought = shipped.find(folder)
    if brought is None:
        return frozenset()
    if not allow_code:
        more = f" and {len(brought.names) - _LISTED} more" if len(brought.names) > _LISTED else ""
        raise RefusedError(
            f"The model brings code of its author: {', '.join(brought.names[:_LISTED])}{more}.",
            f"Read {shipped.FOLDER}/{brought.path.name} in it; consent with --allow-code if you trust it.",
        )
    brought.bring_in()
    return brought.types


def _estimator(file: Path, form: str, own: frozenset[str], *, allow_pickle: bool) -> Any:  # noqa: ANN401 - any estimator
    if form == "skops":
        return _safe(file, own)
    if form not in _PICKLES:
        raise RefusedError(f"The model's format {form!r} is not known.", _AGAIN)
    if not allow_pickle:
        raise RefusedError(
            f"{file.name} is a {form}: loading it runs any code that it holds.",
            "Log the model in the safe format, or consent with --allow-pickle if you trust its author.",
        )
    return _pickled(file)


def _safe(file: Path, own: frozenset[str]) -> Any:  # noqa: ANN401 - any estimator
    """Load a .skops file against our list, whatever list the folder carries."""
    import skops.io

    if foreign := [name for name in trust.untrusted(file) if name not in own]:
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        raise RefusedError(
            f"The model holds types that are not trusted: {', '.join(foreign[:_NAMED])}{more}.",
            "Use classes of scikit-learn only; types that the model itself calls trusted do not count.",
        )
    try:
        estimator = skops.io.load(file, trusted=sorted(trust.TRUSTED | own))
    except ModuleNotFoundError as error:
        raise _missing(file, error) from error
    except Exception as error:
        raise MLOpsError(
            f"{file.name} cannot be loaded ({type(error).__name__}: {str(error)[:200]}).",
            "Load it with the scikit-learn version that saved it, or log the model again.",
        ) from error
    trust.check(estimator)
    return estimator


def _pickled(file: Path) -> Any:  # noqa: ANN401 - any estimator
    """Load a pickle that the caller has consented to."""
    import pickle

    try:
        with file.open("rb") as stream:
            return pickle.load(stream)  # noqa: S301 - the caller consented in this call
    except ModuleNotFoundError as error:
        raise _missing(file, error) from error
    except Exception as error:
        raise MLOpsError(
            f"{file.name} cannot be loaded ({type(error).__name__}: {str(error)[:200]}).",
            "Install the packages that it was made with, in the same versions.",
        ) from error


def _missing(file: Path, error: ModuleNotFoundError) -> MLOpsError:
    """Name the package that a model needs, and how to install it."""
    package = (error.name or "").partition(".")[0]
    if package in _EXTRAS:
        return MissingExtraError(package, package)
    return MLOpsError(
        f"{file.name} cannot be loaded: {package} is not installed.",
        "Install the packages that it was made with, in the same versions.",
    )


def _method(general: Mapping[str, Any], estimator: object) -> Method:
    name = general.get("predict_fn", "predict")
    if name not in {"predict", "predict_proba"}:
        raise RefusedError(
            f"The model answers with {str(name)[:40]!r}, which is not served.",
            "Log it with pyfunc_predict_fn='predict' or 'predict_proba'.",
        )
    if not callable(getattr(estimator, name, None)):
        raise MLOpsError(f"{type(estimator).__name__} has no method {name}.", "Log a fitted predictor.")
    return cast("Method", name)


def _null(estimator: object) -> float | None:
    """Find what a missing string was when the estimator was fitted: encoders tell None from NaN."""
    for part in trust.parts(estimator):
        state = vars(part) if hasattr(part, "__dict__") else {}
        if "missing_values" in state and state["missing_values"] is None:
            return None
        known = state.get("categories_")
        if isinstance(known, list) and any(one is None for some in known for one in some):
            return None
    return math.nan


def _example(folder: Path, description: Mapping[str, Any], schema: Schema | None, null: float | None) -> Any:  # noqa: ANN401 - a pandas frame
    """Read the stored example as the frame that the estimator was given."""
    told = description.get("saved_input_example_info")
    if not isinstance(told, dict) or told.get("artifact_path") is None:
        return None
    import pandas as pd

    file = _member(folder, told["artifact_path"], "input example")
    try:
        found = json.loads(_read(file, _EXAMPLE_BYTES))  # not orjson: MLflow writes NaN for a gap
        split = isinstance(found, dict) and "data" in found
        data, names = (found["data"], found.get("columns")) if split else (found, None)
        frame = pd.DataFrame(data, columns=names, dtype=object if schema else None)
        return typed(frame, schema, null) if schema else frame
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise MLOpsError(f"The input example {file.name} cannot be read.", _AGAIN) from error


_DTYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"}


def typed(frame: Any, schema: Schema, null: float | None) -> Any:  # noqa: ANN401 - a pandas frame
    """Give a frame's columns the types of a schema.

    Args:
        frame: The rows, as a pandas frame.
        schema: The columns that the model takes; others are left out.
        null: What a missing text is to the model.
    """
    import pandas as pd

    frame.columns = [str(name) for name in frame.columns]
    made = {}
    for column in schema.columns:
        if column.name not in frame:
            continue
        values, dtype = frame[column.name], _DTYPES.get(column.type)
        if column.type == "datetime":
            made[column.name] = pd.to_datetime(values, utc=False).astype("datetime64[ns]")
        elif dtype is None or (dtype == "bool" and values.isna().any()):
            made[column.name] = values.where(values.notna(), null).astype(object)
        else:
            made[column.name] = values.astype("float64" if values.isna().any() else dtype)
    return pd.DataFrame(made)
