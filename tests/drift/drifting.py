"""Tables of several kinds of columns, and windows of them: what the tests of drift compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from mlops_magics.artifact.reference import Reference
from mlops_magics.stats.reference import reference_of
from mlops_magics.stats.windows import Window, counted

LEVELS = {"cat2": 2, "cat5": 5, "cat20": 20, "cat100": 100, "cat300": 300, "cat1000": 1000}
BEGAN = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday


class Mute:
    """A model that answers nothing, and uses nothing."""

    def predict(self, rows: Any) -> Any:
        return np.zeros((len(rows), 0))


def reference(table: Any, model: Any = None) -> Reference:
    """Make the reference of a table."""
    made = reference_of(table, Mute() if model is None else model)
    assert made is not None
    return made


def plain(seed: int, rows: int = 4_000, **shifted: float) -> pd.DataFrame:
    """Draw a small table; ``price=0.5`` carries a column by so many standard deviations."""
    random = np.random.default_rng(seed)
    temperature = 12 + 8 * (random.normal(size=rows) + shifted.get("temperature", 0))
    return pd.DataFrame(
        {
            "price": np.exp(3 + random.normal(size=rows) + shifted.get("price", 0)),
            "temperature": temperature,
            "stars": random.integers(1, 6, rows),
            "town": random.choice(["Oslo", "Rome", "Lima", "Bern"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        }
    )


def twenty(random: np.random.Generator, rows: int = 10_000, shift: float = 0.0) -> pd.DataFrame:
    """Draw a table of 14 columns of numbers, heavy tails among them, and six of levels."""
    told: dict[str, Any] = {
        f"norm{place}": random.standard_normal(rows) + (shift if place < 3 else 0) for place in range(5)
    }
    zeros = random.exponential(5, rows)
    zeros[random.random(rows) < 0.9] = 0
    gaps = random.standard_normal(rows)
    gaps[random.random(rows) < 0.2] = np.nan
    told |= {
        "lognorm": random.lognormal(3, 1, rows),
        "expo": random.exponential(10, rows),
        "t25": random.standard_t(2.5, rows),
        "uniform": random.random(rows),
        "poisson": random.poisson(4, rows),
        "zipf": np.minimum(random.zipf(1.6, rows), 100_000),
        "rating": random.integers(1, 6, rows),
        "zeros": zeros,
        "gaps": gaps,
    }
    for name, count in LEVELS.items():
        chances = 1 / np.arange(1, count + 1) ** (0.0 if name == "cat300" else 1.0)
        levels = np.char.add("v", np.arange(count).astype("U"))
        told[name] = levels[random.choice(count, rows, p=chances / chances.sum())]
    return pd.DataFrame(told)


def window(known: Reference, rows: Any, hour: int = 0, hours: int = 1, **told: Any) -> Window:
    """Count rows of some hours after the beginning."""
    began = BEGAN + timedelta(hours=hour)
    return counted(known, rows, began=began, ended=began + timedelta(hours=hours), **told)
