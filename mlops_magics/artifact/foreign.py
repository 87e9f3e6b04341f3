"""Models that MLflow itself loads: all with a python_function flavor and none of scikit-learn's.

Loading one runs whatever code it holds, and nothing in it can be looked through before: it takes both
consents. This floor does not know MLflow; who loads such a model hands in what opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, Self

import numpy as np
import orjson

from mlops_magics.artifact.answered import AnswerError, taken
from mlops_magics.artifact.described import description
from mlops_magics.artifact.schema import KINDS, Schema, read, typed
from mlops_magics.foundation.errors import RefusedError
from mlops_magics.foundation.sentences import Sentence

FORM: Final = "pyfunc"
"""The format of such a model, where a version or a card names one."""

Asks = Callable[[Any], Any]
"""From a frame whose columns have the types of the signature to whatever the model answers."""

Opens = Callable[[Path], Asks]
"""From a model folder to what asks the model in it."""

_FLAVOR: Final = "python_function"
_SIGN: Final = "Log it again with signature=infer_signature(rows, answers), the rows in a table."


def flavors(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the flavors of a model that only MLflow can load.

    Args:
        described: What its MLmodel file says.

    Returns:
        The names; none for a model with a sklearn flavor, which never goes this way, and for one that
        MLflow cannot load as a function either.
    """
    found = described.get("flavors")
    if not isinstance(found, dict) or isinstance(found.get("sklearn"), dict):
        return ()
    return tuple(sorted(map(str, found))) if isinstance(found.get(_FLAVOR), dict) else ()


def refusal(named: Sequence[str], line: str = Sentence("the same line with")) -> RefusedError:
    """Say that both consents are needed.

    Args:
        named: The model's flavors.
        line: What the user has to write before them.
    """
    return RefusedError(
        Sentence(
            "The model has no sklearn flavor (it has: %1): "
            "MLflow itself loads it, which runs any code that it holds.",
            ", ".join(named),
        ),
        Sentence("If you trust its author: %1 --allow-pickle --allow-code", line),
    )


def check(folder: Path, line: str, *, consented: bool) -> None:
    """Refuse a model that only MLflow can load, where that was not agreed to, with the line that agrees.

    Args:
        folder: The model folder.
        line: The line, without the consents.
        consented: Whether both consents were given.

    Raises:
        RefusedError: They were not, and it needs them.
    """
    if not consented and (named := flavors(description(folder))):
        raise refusal(named, line)


def table(described: Mapping[str, Any]) -> Schema:
    """Read which columns such a model takes.

    Args:
        described: What its MLmodel file says.

    Raises:
        RefusedError: It has no signature, or takes no plain table.
    """
    signature = described.get("signature")
    schema = read(signature, "inputs")
    if schema is not None:
        return schema
    try:
        specs = orjson.loads(signature["inputs"]) if isinstance(signature, dict) else []
        kinds = {str(spec["type"]) for spec in specs} - KINDS
    except (KeyError, TypeError, ValueError):
        kinds = set()
    if not kinds:
        raise RefusedError("The model has no signature: nothing says which columns it takes.", _SIGN)
    if "tensor" in kinds:
        raise RefusedError("The model takes tensors; what is served here takes tables.", _SIGN)
    if kinds == {"any"}:
        raise RefusedError(
            "The model's signature names no types: MLflow found none for its columns (any).",
            _SIGN,
        )
    raise RefusedError(
        f"The model takes {', '.join(sorted(kinds))}: columns whose cells are no single values.", _SIGN
    )


class Pyfunc:
    """A model that MLflow loaded, asked as an estimator is.

    Args:
        asks: What asks it.
        schema: The columns that it takes.

    Attributes:
        feature_names_in_: The names of these columns.
        n_features_in_: How many they are.
        fields: The columns of its answers, where these are tables; None where not, and before the first.
    """

    def __init__(self, asks: Asks, schema: Schema) -> None:
        self.feature_names_in_ = np.array(schema.names, dtype=object)
        self.n_features_in_ = len(schema.names)
        self.fields: tuple[str, ...] | None = None
        self._asks = asks
        self._schema = schema
        self._asked = False

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: what it holds is MLflow's."""
        raise TypeError("A model that MLflow loaded is not pickled.")

    def __deepcopy__(self, memo: object) -> Self:
        """Return the same: it cannot be made anew without its files."""
        return self

    def predict(self, rows: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - a pandas frame
        """Answer the rows of any table that has the model's columns.

        Args:
            rows: The rows; their columns are given the signature's types.

        Returns:
            One entry, or one row of entries, for each row.

        Raises:
            AnswerError: It answers with something else.
        """
        return self.ask(typed(rows.copy(deep=False), self._schema, None))

    def ask(self, rows: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - a pandas frame
        """Answer rows whose columns have the signature's types already.

        Args:
            rows: The rows, which the model may change.

        Returns:
            One entry, or one row of entries, for each row.

        Raises:
            AnswerError: It answers with something else, or with other columns than before.
        """
        count = len(rows)
        found, fields = taken(self._asks(rows), count)
        if self._asked and fields != self.fields:
            raise AnswerError("It answers with other columns than before.")
        self.fields, self._asked = fields, True
        return found


def records(found: np.ndarray[Any, Any], fields: tuple[str, ...] | None) -> Any:  # noqa: ANN401 - JSON
    """Write answers as MLflow's protocol has them: those with columns as an object a row.

    Args:
        found: One entry, or one row of entries, for each row.
        fields: Their columns; None where they have none.
    """
    told = found.tolist()
    if fields is None:
        return told
    return [dict(zip(fields, cells if isinstance(cells, list) else [cells], strict=True)) for cells in told]
