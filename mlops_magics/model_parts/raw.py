"""The first step of a prepared pipeline: raw rows of any origin become columns of three exact types.

A notebook's frame and an endpoint's request hold the same rows in different types: nullable integers,
Arrow texts, categories here, floats and objects there; None, NaN, NA and NaT for a gap. Behind this
step there are float64, objects (texts, NaN for a gap) and datetime64[us] only, so that what follows
computes on the same bits wherever the rows came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin


class RawColumns(TransformerMixin, BaseEstimator):
    """Takes the columns that a model uses out of raw rows, by name, in exact types.

    Other columns are ignored. An infinite number counts as missing: a request cannot carry one.

    Args:
        numbers: Columns of numbers and truth values.
        texts: Columns of texts.
        dates: Columns of dates; those with a time zone are brought to UTC.
        formats: For dates that are kept as text: column -> how they are written, as in ``%d/%m/%Y``.
    """

    def __init__(
        self,
        numbers: list[str] | None = None,
        texts: list[str] | None = None,
        dates: list[str] | None = None,
        formats: dict[str, str] | None = None,
    ) -> None:
        self.numbers = numbers
        self.texts = texts
        self.dates = dates
        self.formats = formats

    def fit(self, X: Any, y: Any = None) -> RawColumns:  # noqa: ANN401, N803 - scikit-learn's own names
        """Learn nothing but the names of the columns.

        Raises:
            ValueError: A column is not there, or its values are of another type.
        """
        del y
        names = self._names()
        self.transform(X)
        self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = len(names)
        return self

    def transform(self, X: Any) -> Any:  # noqa: ANN401, N803 - a pandas frame
        """Return the columns as a pandas frame: numbers, texts, dates.

        Raises:
            ValueError: A column is not there, or its values are of another type.
        """
        import pandas as pd

        frame = _pandas(X)
        places = {str(name): place for place, name in enumerate(frame.columns)}
        if absent := [name for name in self._names() if name not in places]:
            raise ValueError(f"the rows have no column {absent[0]!r}")
        made: dict[str, Any] = {}
        for names, read in ((self.numbers, _floats), (self.texts, _texts)):
            for name in names or ():
                made[name] = _told(name, read, frame.iloc[:, places[name]])
        for name in self.dates or ():
            form = (self.formats or {}).get(name)
            made[name] = _told(
                name, lambda column, form=form: _dates(column, form), frame.iloc[:, places[name]]
            )
        index = frame.index
        return pd.DataFrame(
            {name: pd.Series(made[name], index=index, dtype=made[name].dtype) for name in made},
            index=index,
            columns=pd.Index(self._names(), dtype=object),
        )

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401 - its name
        """Name the columns that come out."""
        del input_features
        return np.array(self._names(), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_in_")

    def _names(self) -> list[str]:
        return [*(self.numbers or ()), *(self.texts or ()), *(self.dates or ())]


def _pandas(rows: Any) -> Any:  # noqa: ANN401 - a table of any library
    if hasattr(rows, "iloc"):
        return rows
    if hasattr(rows, "to_arrow"):  # Polars
        return rows.to_arrow().to_pandas()
    if hasattr(rows, "to_pandas"):  # Arrow
        return rows.to_pandas()
    raise ValueError(f"raw rows are a table with named columns, not {type(rows).__name__}")


def _told(name: str, read: Any, column: Any) -> Any:  # noqa: ANN401 - a function and a pandas column
    try:
        return read(column)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} holds values of another type than at training: {error}") from error


def _floats(column: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401 - a pandas column
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        values = np.array(column.to_numpy(), dtype=np.float64)
    else:
        values = np.array(column.astype(object).where(column.notna(), np.nan).to_numpy(), dtype=np.float64)
    if not np.isfinite(values).all():
        values[np.isinf(values)] = np.nan
    return values


def _texts(column: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - a pandas column
    found = np.array(column.astype(object).to_numpy(), dtype=object)
    gaps = column.isna().to_numpy(dtype=bool)
    found[gaps] = np.nan
    for place, value in enumerate(found):
        if type(value) is not str and not gaps[place]:
            found[place] = str(value)
    return found


def _dates(column: Any, form: str | None) -> npt.NDArray[np.datetime64]:  # noqa: ANN401 - a pandas column
    import pandas as pd

    if form is not None:
        column = pd.to_datetime(column.astype(object), format=form.replace("%.f", ".%f"), errors="coerce")
    elif column.dtype.kind != "M":
        # Objects that are dates, or nothing at all; numbers are no dates.
        if column.notna().any() and pd.api.types.is_numeric_dtype(column.infer_objects()):
            raise TypeError("numbers are no dates")
        column = pd.to_datetime(column.astype(object), utc=True)
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(column.to_numpy().astype("datetime64[us]"))
