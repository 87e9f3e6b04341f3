"""The gate before a plan: it answers an example and awkward rows as the pipeline does, or not at all."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.artifact.schema import Column
from mlops_magics.serving.example import is_gap, stored_columns, typed_cells
from mlops_magics.serving.plan import Plan, compile_plan
from mlops_magics.serving.plan.base import Array, UnsupportedError
from mlops_magics.serving.plan.encoders import UNSEEN
from mlops_magics.serving.rows import Columns

_QUICK: Final = (64, 16, 4, 1)  # rows
_STILL: Final = 0.002  # seconds
_LONG: Final = 0.02  # seconds for a row
_TRIES: Final = 5
_RANDOM: Final = 256  # rows that are mixed from all values that are tried
_TOLERANCE: Final = {"f4": 1e-5, "f8": 1e-9}  # of the larger number; of 1 where both are smaller
_EDGES: Final = (0.0, -1.0, 1.0, 0.5, 1e-12, -1e-12, 1e6, -1e6, 1e15, -1e15)
_WHOLE: Final = (0, 1, -1, 2, 7, 100, -100, 2**31 - 1)
_MOMENTS: Final = (
    "1970-01-01",
    "1999-12-31T23:59:59.999999",
    "2000-02-29",
    "2024-02-29T12:30",
    "2038-01-19",
    "1901-07-04",
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of compiling a model.

    Attributes:
        plan: The plan; None where the pipeline itself must answer.
        why: Why there is none, or why its predictor is asked itself; "" where all is compiled.
        rows: On how many rows the two were compared.
        quick_rows: Up to how many rows the plan answers within two milliseconds.
    """

    plan: Plan | None
    why: str = ""
    rows: int = 0
    quick_rows: int = 0


def compiled(loaded: LoadedModel, engine: Any, methods: tuple[Method, ...]) -> Compiled:  # noqa: ANN401 - any engine
    """Compile a model, and compare the plan with the pipeline.

    Args:
        loaded: The model.
        engine: What asks the pipeline itself.
        methods: What can be asked.

    Returns:
        The plan, or why there is none.
    """
    try:
        plan = compile_plan(loaded)
        tried = list(tables(loaded))
        if plan.itself:
            _worth_it(engine, tried[0], methods, plan.itself)
        rows = sum(_compare(plan, engine, columns, methods) for columns in tried)
        quick_rows = _quick_rows(plan, tried, methods[0])
    except UnsupportedError as error:
        return Compiled(None, str(error))
    except Exception as error:  # noqa: BLE001 - a plan that fails in any way is no plan
        return Compiled(None, f"the plan failed ({type(error).__name__}: {error})")
    return Compiled(plan, plan.itself, rows, quick_rows)


def _worth_it(engine: Any, columns: Columns, methods: tuple[Method, ...], why: str) -> None:  # noqa: ANN401 - any engine
    """Leave a predictor alone that takes long for a row: a plan before it gains nothing, to try it much time.

    Raises:
        UnsupportedError: It does.
    """
    one = {name: values[:1] for name, values in columns.items()}
    for method in methods:
        if not any(_soon(engine, one, method) for _ in range(_TRIES)):
            raise UnsupportedError(why)


def _soon(engine: Any, one: Columns, method: Method) -> bool:  # noqa: ANN401 - any engine
    """Tell whether a row is answered soon; the first time pays for what is made once."""
    begun = time.perf_counter()
    _outcome(engine, one, 1, method)
    return time.perf_counter() - begun < _LONG


def _quick_rows(plan: Plan, tried: Sequence[Columns], method: Method) -> int:
    """Measure how many rows fit into the time for which an event loop may stand still."""
    most = max(tried, key=lambda columns: len(next(iter(columns.values()))))
    for rows in _QUICK:
        columns = {name: values[:rows] for name, values in most.items()}
        spent = []
        for _ in range(3):
            begun = time.perf_counter()
            _outcome(plan, columns, rows, method)
            spent.append(time.perf_counter() - begun)
        if min(spent) < _STILL:
            return rows
    return 0


def _compare(plan: Plan, engine: Any, columns: Columns, methods: tuple[Method, ...]) -> int:  # noqa: ANN401 - any engine
    """Ask both for each method; where either refuses the table, ask for one row at a time.

    Raises:
        UnsupportedError: They differ.
    """
    rows = len(next(iter(columns.values())))
    for method in methods:
        one, other = (_outcome(each, columns, rows, method) for each in (plan, engine))
        if one is not None and other is not None:
            _same(one, other, method)
        elif rows > 1:
            for row in range(rows):
                single = {name: values[row : row + 1] for name, values in columns.items()}
                _compare(plan, engine, single, (method,))
        elif one is not other:
            raise UnsupportedError(f"plan and pipeline do not refuse the same rows ({method})")
    return rows


def _outcome(engine: Any, columns: Columns, rows: int, method: Method) -> Array | None:  # noqa: ANN401 - a plan or an engine
    try:
        # Rows at the edges of what numbers can hold overflow in both, and scikit-learn warns of unseen words.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.asarray(engine.predict(dict(columns), rows, method))
    except (ValueError, TypeError):
        return None


def _same(one: Array, other: Array, method: Method) -> None:
    """Demand the same labels, and numbers that differ by rounding only.

    Raises:
        UnsupportedError: They are not.
    """
    alike = one.shape == other.shape and one.dtype == other.dtype
    if alike and other.dtype.kind == "f":
        equal = (one == other) | (np.isnan(one) & np.isnan(other))
        a, b = one[~equal], other[~equal]
        with np.errstate(all="ignore"):
            size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
            alike = bool((np.abs(a - b) <= _TOLERANCE[other.dtype.str[1:]] * size).all())
    elif alike:
        alike = bool((one == other).all())
    if not alike:
        raise UnsupportedError(f"plan and pipeline answer differently ({method})")


def tables(loaded: LoadedModel) -> Iterator[Columns]:
    """Make the rows on which a plan is compared.

    Args:
        loaded: The model; it has a signature.

    Yields:
        The stored example; rows that are mixed from its values, what encoders know and edges of each type;
        the same with gaps, where the signature allows them; with texts that nobody has seen.
    """
    schema = loaded.schema
    if schema is None:
        raise UnsupportedError("the model has no signature")
    example = stored_columns(loaded)
    if example:
        yield example
    random = np.random.default_rng(0)
    known = _known(loaded.estimator)
    pools = {column.name: _pool(column, example, known.get(column.name, [])) for column in schema.columns}
    mixed = {
        column.name: typed_cells(
            column, [pools[column.name][at] for at in random.integers(0, len(pools[column.name]), _RANDOM)]
        )
        for column in schema.columns
    }
    yield mixed
    few = {name: values[: len(schema.columns)] for name, values in mixed.items()}
    for unusual in (None, UNSEEN):
        fitting = [
            column
            for column in schema.columns
            if (not column.required if unusual is None else column.type == "string")
        ]
        if fitting:
            yield _with(few, fitting, unusual)


def _with(few: Columns, columns: list[Column], cell: str | None) -> Columns:
    """Put one cell into a row for each of some columns, and into all of them in one more row."""
    places = [row % len(next(iter(few.values()))) for row in range(len(columns) + 1)]
    found = {name: values[places] for name, values in few.items()}
    for row, column in enumerate(columns):
        for at in (row, len(columns)):
            values = found[column.name].copy()
            if values.dtype.kind == "M":
                values[at] = np.datetime64("NaT")
            else:
                values[at] = np.nan if cell is None and values.dtype != object else cell
            found[column.name] = values
    return found


def _pool(column: Column, example: Columns, known: list[Any]) -> list[Any]:
    """List the values that are tried in a column: all of the type, gaps not among them."""
    cells = [cell for cell in example[column.name].tolist() if not is_gap(cell)] if example else []
    match column.type:
        case "double" | "float":
            spread = [each * factor for each in map(float, cells) for factor in (0.5, 1.5, -1.0)]
            fitting = [float(each) for each in known if isinstance(each, int | float)]
            return [*map(float, cells), *spread, *fitting, *_EDGES]
        case "long" | "integer":
            fitting = [int(each) for each in known if isinstance(each, int | float) and each == int(each)]
            return [*map(int, cells), *fitting, *_WHOLE]
        case "boolean":
            return [True, False]
        case "datetime":
            return (
                list(example[column.name][~np.isnat(example[column.name])]) + list(_MOMENTS)
                if example
                else list(_MOMENTS)
            )
        case _:
            return [*map(str, cells), *(each for each in known if isinstance(each, str)), "", UNSEEN]


def _known(model: Any) -> Mapping[str, list[Any]]:  # noqa: ANN401 - any estimator
    """Find what encoders have learned of each column, by the column's name."""
    from mlops_magics.artifact.trust import parts

    found: dict[str, list[Any]] = {}
    for part in parts(model):
        state = vars(part) if hasattr(part, "__dict__") else {}
        names, categories = state.get("feature_names_in_"), state.get("categories_")
        if names is None or not isinstance(categories, list):
            continue
        for name, each in zip(names, categories, strict=False):
            found[str(name)] = [one for one in np.asarray(each).tolist() if not is_gap(one)]
    return found
