"""A number a value that depends on the value alone: the same in each process, library and release."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]

MISSING: Final = 0x9E3779B97F4A7C15
_EXACT: Final = 2.0**53  # beyond it a float skips integers


def of_numbers(numbers: npt.NDArray[Any]) -> Hashes:
    """Hash numbers of any width: 1 like 1.0 and like True, minus zero like zero, NaN as missing."""
    floats = numbers.astype(np.float64) + 0.0  # minus zero becomes zero
    hashes = mixed(floats.view(np.uint64))
    if numbers.dtype.kind == "f":
        hashes[np.isnan(floats)] = MISSING
    elif numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8:  # noqa: PLR2004 - eight bytes
        large = np.abs(floats) >= _EXACT
        if large.any():  # integers that share a float keep their own bits
            hashes[large] = mixed(numbers[large].astype(np.uint64))
    return hashes


def of_text(text: str) -> int:
    """Hash a text; broken surrogates, which a file may bring, are hashed as they are."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def mixed(values: Hashes) -> Hashes:
    """Spread bits so that equal values stay equal and near ones fall apart (splitmix64)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        shifted = values >> np.uint64(30)
        values ^= shifted
        values *= np.uint64(0xBF58476D1CE4E5B9)
        np.right_shift(values, np.uint64(27), out=shifted)
        values ^= shifted
        values *= np.uint64(0x94D049BB133111EB)
        np.right_shift(values, np.uint64(31), out=shifted)
        values ^= shifted
        return values
