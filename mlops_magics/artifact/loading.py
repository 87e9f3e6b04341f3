"""The one loader: an MLflow model folder becomes an estimator, or a refusal that names the reason.

MLflow's own loader believes the folder: its list of trusted types, its code folder, its loader
module. This one believes nothing in it. Of a model with a sklearn flavor only that is read, only our own
list of types counts, and a pickle is opened only where the caller has consented in this very call. What has
no such flavor is left to MLflow, where the caller has consented to all that it may run.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from mlops_magics.artifact import foreign, shipped, trust
from mlops_magics.artifact.described import AGAIN, content, description, member
from mlops_magics.artifact.foreign import Opens, Pyfunc
from mlops_magics.artifact.schema import Schema, read, typed
from mlops_magics.foundation.errors import (
    MissingExtraError,
    MLOpsError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from mlops_magics.foundation.sentences import Sentence

Method = Literal["predict", "predict_proba"]

_EXAMPLE_BYTES = 64 * 1024 * 1024
_NAMED = 3  # untrusted types that a sentence names
_EXTRAS = frozenset({"lightgbm", "xgboost"})
_LISTED = 8  # definitions that a model brings along, likewise
_SAFE = "skops"
_PICKLES = frozenset({"pickle", "cloudpickle"})
_TOLD = ("model_id", "model_uuid", "run_id", "mlflow_version", "utc_time_created", "metadata")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that passed every check.

    Attributes:
        estimator: The fitted scikit-learn estimator; a `Pyfunc` where MLflow itself loaded the model.
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

    @property
    def foreign(self) -> bool:
        """Whether MLflow itself loaded it."""
        return isinstance(self.estimator, Pyfunc)


def load(
    path: Path, *, allow_pickle: bool = False, allow_code: bool = False, opens: Opens | None = None
) -> LoadedModel:
    """Load an MLflow model folder: a scikit-learn model, or with both consents what MLflow itself can load.

    Args:
        path: The folder with the ``MLmodel`` file.
        allow_pickle: Whether the caller consents to run the code in a pickle.
        allow_code: Whether the caller consents to run the code of its author that the model brings along.
        opens: What lets MLflow load a model without sklearn flavor; without it such a model is refused.

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
    described = description(path)
    if flavors := foreign.flavors(described):
        if not (allow_pickle and allow_code):
            raise foreign.refusal(flavors)
        return _foreign(path, described, flavors, opens)
    flavor, general = _flavors(path, described)
    form = str(flavor.get("serialization_format", "pickle"))
    own = _code(path, allow_code=allow_code)
    file = member(path, flavor.get("pickled_model"), "model file")
    estimator = _estimator(file, form, own, allow_pickle=allow_pickle)
    schema, null = read(described.get("signature"), "inputs"), _null(estimator)
    return LoadedModel(
        estimator=estimator,
        schema=schema,
        outputs=read(described.get("signature"), "outputs"),
        example=_example(path, described, schema, null),
        predict_fn=_method(general, estimator),
        metadata={
            **_told(described),
            "format": form,
            "sklearn_version": str(flavor.get("sklearn_version", "")),
        },
        null=null,
    )


def agreed(path: Path, *, allow_pickle: bool, allow_code: bool) -> None:
    """Refuse a scikit-learn model whose consents were not given, before anything is started or loaded.

    Args:
        path: The model folder, of plain files.
        allow_pickle: Whether pickle may be read.
        allow_code: Whether code that the model brings may be run.

    Raises:
        RefusedError: It needs one that was not given.
        NotFoundError: A file of it is missing.
    """
    described = description(path)
    if foreign.flavors(described):
        return
    flavor, _ = _flavors(path, described)
    _brought(path, allow_code=allow_code)
    file = member(path, flavor.get("pickled_model"), "model file")
    _readable(file, str(flavor.get("serialization_format", "pickle")), allow_pickle=allow_pickle)


def _told(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in _TOLD if described.get(name) is not None}


def _foreign(
    path: Path, described: Mapping[str, Any], flavors: tuple[str, ...], opens: Opens | None
) -> LoadedModel:
    """Let MLflow load a model, once all that can be known before is in order."""
    schema = foreign.table(described)
    if opens is None:
        raise RefusedError(
            f"The model has no sklearn flavor (it has: {', '.join(flavors)}), and MLflow is not asked here.",
            "Register, evaluate or deploy it: these do.",
        )
    example = _example(path, described, schema, None)
    if example is not None and not set(schema.names) <= set(example.columns):
        example = None  # it was written in another form than a table
    return LoadedModel(
        estimator=Pyfunc(opens(path), schema),
        schema=schema,
        outputs=read(described.get("signature"), "outputs"),
        example=example,
        predict_fn="predict",
        metadata={**_told(described), "format": foreign.FORM, "flavors": ", ".join(flavors)},
        null=None,
    )


def stored_example(path: Path, estimator: object) -> Any:  # noqa: ANN401 - a pandas frame
    """Read the example of a model folder as :func:`load` does, for an estimator that is at hand.

    Args:
        path: The folder.
        estimator: The estimator that it was saved from.

    Returns:
        The example as a pandas frame, or None.
    """
    described = description(path)
    return _example(path, described, read(described.get("signature"), "inputs"), _null(estimator))


def _plain_files(folder: Path) -> None:
    """Refuse links of both kinds and everything that is neither a file nor a folder."""
    for entry in _entries(folder):
        name = Path(entry.path).relative_to(folder).as_posix()
        status = entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            raise RefusedError(f"{name} in the model folder is a symbolic link.", AGAIN)
        if stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(f"{name} in the model folder is not a plain file.", AGAIN)
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


_NO_CODE = "Code of a model is never run: log it without code_paths, from classes of installed packages."


def _flavors(folder: Path, described: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Take the sklearn flavor and the general one, and refuse what would run code."""
    if (folder / "code").exists():
        raise RefusedError("The model brings its own code (the folder 'code').", _NO_CODE)
    flavors = described.get("flavors")
    sklearn = flavors.get("sklearn") if isinstance(flavors, dict) else None
    if not isinstance(flavors, dict) or not isinstance(sklearn, dict):
        names = ", ".join(sorted(map(str, flavors))) if isinstance(flavors, dict) else "none"
        raise RefusedError(
            f"The model has no sklearn flavor (it has: {names}), nor one that MLflow loads as a function.",
            "Log the estimator with mlflow.sklearn or in a %%mlops_track cell, all else with mlflow.pyfunc.",
        )
    general = flavors.get("python_function") or {}
    if not isinstance(general, dict):
        raise MLOpsError("The MLmodel file does not describe a model.", AGAIN)
    module = general.get("loader_module", "mlflow.sklearn")
    if module != "mlflow.sklearn":
        raise RefusedError(f"The model wants to be loaded by the module {module!r}.", _NO_CODE)
    for part in (sklearn, general):
        if part.get("code"):
            raise RefusedError(f"The model brings its own code ({str(part['code'])[:80]!r}).", _NO_CODE)
    return sklearn, general


def _code(folder: Path, *, allow_code: bool) -> frozenset[str]:
    """Bring in the code of a model's author; return the types that it may hold because of it."""
    brought = _brought(folder, allow_code=allow_code)
    if brought is None:
        return frozenset()
    brought.bring_in()
    return brought.types


def _brought(folder: Path, *, allow_code: bool) -> shipped.Brought | None:
    """Find the code of a model's author, where it may be run."""
    brought = shipped.find(folder)
    if brought is None or allow_code:
        return brought
    listed, more = ", ".join(brought.names[:_LISTED]), len(brought.names) - _LISTED
    named = Sentence("%1 and %2 more", listed, more) if more > 0 else listed
    raise RefusedError(
        Sentence("The model brings code of its author: %1.", named),
        Sentence(
            "Read %1 in it; consent with --allow-code if you trust it.",
            f"{shipped.FOLDER}/{brought.path.name}",
        ),
    )


def _estimator(file: Path, form: str, own: frozenset[str], *, allow_pickle: bool) -> Any:  # noqa: ANN401 - any estimator
    _readable(file, form, allow_pickle=allow_pickle)
    return _safe(file, own) if form == _SAFE else _pickled(file)


def _readable(file: Path, form: str, *, allow_pickle: bool) -> None:
    """Refuse a format that is not known, or not agreed to."""
    if form == _SAFE:
        return
    if form not in _PICKLES:
        raise RefusedError(f"The model's format {form!r} is not known.", AGAIN)
    if not allow_pickle:
        raise RefusedError(
            Sentence("%1 is a %2: loading it runs any code that it holds.", file.name, form),
            Sentence(
                "Log the model in the safe format, or consent with --allow-pickle if you trust its author."
            ),
        )


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


def _example(folder: Path, described: Mapping[str, Any], schema: Schema | None, null: float | None) -> Any:  # noqa: ANN401 - a pandas frame
    """Read the stored example as the frame that the estimator was given."""
    told = described.get("saved_input_example_info")
    if not isinstance(told, dict) or told.get("artifact_path") is None:
        return None
    import pandas as pd

    file = member(folder, told["artifact_path"], "input example")
    try:
        found = json.loads(content(file, _EXAMPLE_BYTES))  # not orjson: MLflow writes NaN for a gap
        if told.get("params") and isinstance(found, dict):  # parameters were logged beside the rows
            found = found["inputs"]
        split = isinstance(found, dict) and "data" in found
        data, names = (found["data"], found.get("columns")) if split else (found, None)
        if isinstance(data, dict) and not any(isinstance(cells, list | dict) for cells in data.values()):
            data = [data]  # one row, as MLflow keeps a dict
        frame = pd.DataFrame(data, columns=names, dtype=object if schema else None)
        return typed(frame, schema, null) if schema else frame
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise MLOpsError(f"The input example {file.name} cannot be read.", AGAIN) from error
