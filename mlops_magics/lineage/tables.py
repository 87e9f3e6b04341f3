"""The tables and arrays that a cell reads, each with the digest of all its values."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from mlops_magics.foundation.digests import array_digest, digest
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.tracking.records import Dataset

_DIMENSIONS = (1, 2)


def datasets(names: Iterable[str], namespace: Mapping[str, object]) -> dict[str, Dataset]:
    """Digest what some names hold, where they hold a table or a numeric array.

    Args:
        names: The names a cell reads.
        namespace: The notebook's names.

    Returns:
        A Dataset by name; other objects are left out.
    """
    found: dict[str, Dataset] = {}
    for name in names:
        value = namespace.get(name)
        if kind_of(value) is not None:
            frame = Frame.of(value, name)
            found[name] = Dataset(name, frame.rows, len(frame.names), digest(frame))
        elif _is_array(value):
            columns = value.shape[1] if value.ndim == len(_DIMENSIONS) else 1  # type: ignore[attr-defined]
            found[name] = Dataset(name, value.shape[0], columns, array_digest(value))  # type: ignore[attr-defined]
    return found


def _is_array(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray) and value.ndim in _DIMENSIONS
