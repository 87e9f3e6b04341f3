"""What a cell that only shows may call: it changes nothing it is given, draws no number and writes no file.

Names are all that is looked at, so each stands for whatever bears it in the packages that ``kinds`` knows:
``replace`` is missing, since a path's moves a file, and ``sample``, which draws.
"""

from __future__ import annotations

from typing import Final

BUILTINS: Final = {
    "abs", "all", "any", "bool", "dict", "display", "divmod", "enumerate", "float", "format", "int",
    "isinstance", "len", "list", "max", "min", "print", "range", "repr", "reversed", "round", "set",
    "sorted", "str", "sum", "tuple", "type", "zip",
}  # fmt: skip
_ONE: Final = {"abs", "exp", "log", "log10", "log1p", "sqrt"}  # a second place is where they write to
_TWO: Final = {
    "array",
    "asarray",
    "cumsum",
    "max",
    "mean",
    "median",
    "min",
    "round",
    "std",
    "sum",
    "unique",
    "var",
}
_THREE: Final = {
    "arange", "bincount", "corrcoef", "diff", "histogram", "linspace", "percentile", "quantile", "where",
}  # fmt: skip
_TABLES: Final = {"DataFrame", "Series", "crosstab", "cut", "isna", "notna", "qcut"}
_SHOWN: Final = {"IPython.display.display", "IPython.display.Markdown", "pprint.pprint"}
CONSTANTS: Final = {"numpy.nan", "numpy.inf", "numpy.pi", "numpy.ndarray", "pandas.NA"} | {
    "pandas.DataFrame", "pandas.Series", "math.pi",
}  # fmt: skip
# What of an object is a value, and no method that whoever gets it could call; so is what ends with "_".
PARTS: Final = {
    "T", "alerts", "assessment", "at", "categories", "cat", "columns", "dt", "dtype", "dtypes", "empty",
    "failed", "features", "frame", "iat", "id", "iloc", "index", "loc", "metrics", "model", "name", "names",
    "ndim", "params", "passed", "plot", "request_id", "shape", "size", "str", "test", "train", "validation",
    "values", "version", "year", "month", "day", "hour", "weekday",
}  # fmt: skip
_PYPLOT: Final = "matplotlib.pyplot."
DRAWN: Final = {  # by pyplot, and by axes and figures that the cell itself has made
    "annotate", "axhline", "axis", "axvline", "axhspan", "axvspan", "bar", "bar_label", "barh", "boxplot",
    "close", "colorbar", "contour", "contourf", "errorbar", "figure", "fill_between", "grid", "hexbin",
    "hist", "hist2d", "hlines", "imshow", "legend", "loglog", "pcolormesh", "pie", "plot", "scatter",
    "semilogx", "semilogy", "show", "stackplot", "stairs", "stem", "step", "subplot", "subplots",
    "suptitle", "text", "tick_params", "tight_layout", "title", "violinplot", "vlines", "xlabel", "xlim",
    "xscale", "xticks", "ylabel", "ylim", "yscale", "yticks", "invert_xaxis", "invert_yaxis", "set",
    "set_title", "set_xlabel", "set_ylabel", "set_xlim", "set_ylim", "set_xticks", "set_yticks",
    "set_xscale", "set_yscale", "set_xticklabels", "set_yticklabels", "set_aspect", "twinx", "twiny",
    "add_subplot",
}  # fmt: skip
PLOTS: Final = {  # of tables
    "area", "bar", "barh", "box", "boxplot", "hist", "line", "pie", "plot", "scatter",
}  # fmt: skip
METHODS: Final = {  # of tables, columns, arrays, texts, mappings: each returns something new
    "astype", "between", "capitalize", "corr", "count", "cov", "cumsum", "describe", "diff", "dropna",
    "duplicated", "endswith", "fillna", "first", "format", "get", "get_feature_names_out", "get_params",
    "groupby", "head", "idxmax", "idxmin", "isin", "isna", "isnull", "items", "join", "keys", "kurtosis",
    "last", "lower", "max", "mean", "median", "min", "mode", "n_unique", "nlargest", "notna", "notnull",
    "nsmallest", "null_count", "nunique", "pct_change", "quantile", "reset_index", "round",
    "select_dtypes", "skew", "sort_index", "sort_values", "startswith", "std", "strip", "sum", "tail",
    "title", "to_frame", "tolist", "to_list", "to_numpy", "transpose", "unique", "upper", "value_counts",
    "values", "var",
}  # fmt: skip
_PLACES: Final = {"between": 2, "format": 9, "get": 2, "nlargest": 2, "nsmallest": 2}  # else one
BARE: Final = {"info", "to_string", "to_dict", "memory_usage"}  # called without places: those could be a file
CHANGING: Final = {"inplace", "out", "buf", "backend", "overwrite_input", "key", "func", "copy"}
MAGICS: Final = {"matplotlib", "who", "whos", "pinfo", "pdoc", "psource", "pwd", "%time"}


def may_call(full: str, places: int) -> bool:
    """Tell whether a function of a package changes nothing, called with so many arguments by their place.

    Args:
        full: Its name, with its module.
        places: How many.
    """
    module, _, name = full.rpartition(".")
    most = next((most for names, most in ((_ONE, 1), (_TWO, 2), (_THREE, 3)) if name in names), 0)
    known = full in _SHOWN or module == "math" or (module == "pandas" and name in _TABLES)
    return known or (module == "numpy" and places <= most) or draws(full)


def may_ask(name: str, places: int) -> bool:
    """Tell the same of a method: a place more may be where it writes to.

    Args:
        name: The method.
        places: How many arguments it gets by their place.
    """
    if name in BARE:
        return not places
    return name in METHODS and (places <= _PLACES.get(name, 1))


def draws(full: str) -> bool:
    """Tell whether a function, by its full name, is one of pyplot's that draw.

    Args:
        full: The name, with its module.
    """
    return full.startswith(_PYPLOT) and full.removeprefix(_PYPLOT) in DRAWN - {"set"}


def keeps_nothing(name: str) -> bool:
    """Tell whether a method only returns something: what it is given is in nothing else afterwards.

    Args:
        name: The method.
    """
    return name in METHODS or name in BARE or name in PLOTS or name in DRAWN - {"set"}
