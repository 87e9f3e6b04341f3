"""Whether a cell may fit a model, told before it is executed: digests are made of its data only then.

Wrong on the safe side: what is not known to be harmless may fit. A cell that was taken for harmless and
fits is still seen; its data are digested afterwards then.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from typing import Final

_FITTING: Final = ("fit", "train", "learn")
# Packages whose functions and methods fit no estimator, unless they are handed one.
_HARMLESS: Final = frozenset(
    {"numpy", "pandas", "polars", "pyarrow", "duckdb", "scipy", "matplotlib", "seaborn", "plotly", "altair"}
    | {"IPython", "mlops_magics", "mlflow", "tqdm", "requests", "builtins"}
)


def may_fit(source: str, namespace: Mapping[str, object]) -> bool:
    """Tell whether a cell may fit a model.

    Args:
        source: Python source, magics already transformed.
        namespace: The notebook's names.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and any(word in node.attr.lower() for word in _FITTING):
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and not _harmless_import(node):
            return True
        if isinstance(node, ast.Call) and not _harmless_call(node.func, namespace):
            return True
    return False


def _harmless_import(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
    # An import alone fits nothing; what is imported from elsewhere may be called in the same cell.
    return all(_harmless(name) for name in names)


def _harmless_call(called: ast.expr, namespace: Mapping[str, object]) -> bool:
    """Tell whether what is called comes from a package that fits nothing."""
    while isinstance(called, ast.Attribute | ast.Subscript | ast.Call | ast.Await):
        called = called.func if isinstance(called, ast.Call) else called.value
    if not isinstance(called, ast.Name):
        return isinstance(called, ast.Constant | ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.BinOp)
    if called.id not in namespace:  # a builtin, or a name of the cell itself, whose own origin was looked at
        return True
    value = namespace[called.id]
    if called.id == "get_ipython" or getattr(builtins, called.id, None) is value:
        return True
    owner = getattr(value, "__module__", None) if callable(value) else None
    if isinstance(value, type(sys)):
        owner = value.__name__
    return _harmless(owner if isinstance(owner, str) else type(value).__module__)


def _harmless(module: str) -> bool:
    top = module.partition(".")[0]
    return top in _HARMLESS or (top in sys.stdlib_module_names and top != "__main__")
