"""Free texts without gaps, as scikit-learn's vectorizers take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin


class FilledTexts(TransformerMixin, BaseEstimator):
    """Turns one column of texts into a plain sequence of them; a missing text is an empty one."""

    def fit(self, X: Any, y: Any = None) -> FilledTexts:  # noqa: ANN401, N803 - scikit-learn's own names
        """Learn the column's name."""
        del y
        self.feature_names_in_ = np.array([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> npt.NDArray[Any]:  # noqa: ANN401, N803 - a pandas frame
        """Return the texts."""
        values = X.iloc[:, 0].to_numpy(dtype=object)
        return np.array([value if isinstance(value, str) else "" for value in values], dtype=object)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:  # noqa: ANN401 - its name
        """Name the column."""
        return self.feature_names_in_ if input_features is None else np.asarray(input_features, dtype=object)
