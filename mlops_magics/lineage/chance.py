"""The states of the process's random generators: which of them a cell moved."""

from __future__ import annotations

import contextlib
import importlib
import random
import sys
from collections.abc import Mapping
from typing import Any

import xxhash

_UNSEEN = ("tensorflow", "jax")  # loaded, they may draw without a state that can be compared


def states() -> dict[str, str]:
    """Digest the state of each global generator that this process has.

    Only libraries that are imported already are asked. What comes is to be compared within this process.
    """
    found = {"random": str(hash(random.getstate()))}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        state = numpy.random.get_state(legacy=False)
        inner = state["state"]
        key = inner["key"].tobytes() if "key" in inner else repr(inner).encode()
        rest = (inner.get("pos"), state.get("has_gauss"), state.get("gauss"))
        found["numpy"] = _hashed(key + repr(rest).encode())
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = _of_torch(torch)
    return found


def settle() -> None:
    """Import what draws random numbers merely by being imported, so that no cell is blamed for it.

    scikit-learn imports rich, which draws from Python's own generator at once. Its state stays as it is.
    """
    state = random.getstate()
    with contextlib.suppress(ImportError):
        importlib.import_module("rich.themes")
    random.setstate(state)


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """Name the generators whose state is another one than before.

    One that came with an import in between counts: nothing tells whether it was used at once.
    """
    return frozenset(name for name, state in after.items() if before.get(name) != state)


def unseen(roots: frozenset[str]) -> frozenset[str]:
    """Name the libraries among those that a cell used whose draws cannot be seen."""
    found = {root for root in _UNSEEN if root in roots and root in sys.modules}
    if "keras" in roots and "tensorflow" in sys.modules:
        found.add("tensorflow")
    return frozenset(found)


def full_name(root: object, call: str) -> str:
    """Write a call such as ``np.random.seed`` by the names of the modules, whatever they are called here.

    Args:
        root: What the first word of the call stands for.
        call: The call as written.
    """
    head, _, rest = call.partition(".")
    name = getattr(root, "__name__", None)
    if type(root) is type(sys) and isinstance(name, str):
        return f"{name}.{rest}"
    # ``from numpy.random import seed``
    numpy = sys.modules.get("numpy")
    if numpy is not None and root is numpy.random.seed:
        return "numpy.random.seed"
    if root is not None and root == random.seed:
        return "random.seed"
    return head if not rest else call


def _of_torch(torch: Any) -> str:  # noqa: ANN401 - torch may not be installed
    parts = [torch.get_rng_state().numpy().tobytes()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        parts += [state.cpu().numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return _hashed(b";".join(parts))


def _hashed(content: bytes) -> str:
    return str(xxhash.xxh3_128_hexdigest(content))
