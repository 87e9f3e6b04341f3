"""What columns mean and whether they look personal; and what only seems so."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.stats.engine import survey
from mlops_magics.stats.summary import ColumnSummary

ROWS = 300
RANDOM = np.random.default_rng(11)


def pick(*values: Any) -> list[Any]:
    return [values[place] for place in RANDOM.integers(0, len(values), ROWS)]


def flags() -> list[bool]:
    return (RANDOM.random(ROWS) < 0.4).tolist()


def many(form: str) -> list[str]:
    return [form.format(n, RANDOM.integers(100, 999), RANDOM.integers(1000, 9999)) for n in range(ROWS)]


def days() -> list[dt.date]:
    return [dt.date(1950, 1, 1) + dt.timedelta(days=int(n)) for n in RANDOM.integers(0, 20_000, ROWS)]


def prose() -> list[str]:
    words = ["the", "flight", "was", "late", "again", "and", "nobody", "at", "the", "gate", "knew"]
    return [" ".join(RANDOM.choice(words, 14)) for _ in range(ROWS)]


MEANINGS: dict[str, tuple[list[Any], str]] = {
    "nothing": ([None] * ROWS, "empty"),
    "year": ([2013] * ROWS, "constant"),
    "only": (["x"] * ROWS, "constant"),
    "flag": (flags(), "flag"),
    "zero_one": (pick(0, 1), "flag"),
    "yes_no": (pick("yes", "no"), "flag"),
    "has_email": (flags(), "flag"),
    "order_id": (RANDOM.permutation(ROWS).tolist(), "id"),
    "row": (list(range(ROWS)), "id"),
    "uuid": ([str(uuid.UUID(int=int(n))) for n in RANDOM.integers(0, 2**62, ROWS)], "id"),
    "code": (many("AX-{0}-{1}"), "id"),
    "town": (pick("Oslo", "Bergen", "Bod\u00f8"), "category"),
    "stars": (RANDOM.integers(1, 6, ROWS).tolist(), "ordinal"),
    "flight": (RANDOM.integers(1, 8500, ROWS).tolist(), "number"),
    "zip": (RANDOM.integers(10_000, 99_999, ROWS).tolist(), "number"),
    "born_in": (RANDOM.integers(1900, 2020, ROWS).tolist(), "number"),
    "temperature": (RANDOM.normal(15, 9, ROWS).tolist(), "number"),
    "when": (pd.to_datetime(days()).tolist(), "date"),
    "iso": ([day.isoformat() for day in days()], "date"),
    "german": ([day.strftime("%d.%m.%Y") for day in days()], "date"),
    "waited": (pd.to_timedelta(RANDOM.integers(0, 999, ROWS), "s").tolist(), "number"),
    "comment": (prose(), "text"),
}
PERSONAL: dict[str, tuple[list[Any], str]] = {
    "contact": (many("person{0}@example.org"), "email"),
    "email": (pick("a", "b", "c"), "email"),
    "caller": (many("+47 22 {1} {2}"), "phone"),
    "phone": (many("{1}{2}"), "phone"),
    "host": (many("10.{1}.0.7"), "ip"),
    "peer": (many("fe80::{0}:{2}"), "ip"),
    "paid_with": (many("4111 1111 {2} {2}"), "card"),
    "target_account": (many("DE89 3704 0044 {2} {2} 00"), "account"),
    "last_name": (pick("Berg", "Haug", "Lie", "Moe"), "name"),
    "first name": (pick("Ada", "Bo", "Cleo"), "name"),
    "birth_date": (pd.to_datetime(days()).tolist(), "birth"),
    "street": (pick("Main 1", "Main 2", "Side 3"), "address"),
    "comment": (prose(), "free text"),
}
# Alike, and not personal.
INNOCENT: dict[str, list[Any]] = {
    "has_email": flags(),
    "email_opened": pick(0, 1),
    "flight": RANDOM.integers(1, 8500, ROWS).tolist(),
    "tailnum": many("N{1}AA"),
    "zip": RANDOM.integers(10_000, 99_999, ROWS).tolist(),
    "price": [f"{value:.2f}" for value in RANDOM.lognormal(3, 1, ROWS)],
    "amount": [f"{value:,}" for value in RANDOM.integers(1_000, 9_999_999, ROWS)],
    "iso": [day.isoformat() for day in days()],
    "german": [day.strftime("%d.%m.%Y") for day in days()],
    "uuid": [str(uuid.UUID(int=int(n))) for n in RANDOM.integers(0, 2**62, ROWS)],
    "year": RANDOM.integers(1900, 2020, ROWS).tolist(),
    "version": pick("1.2.3", "1.10.0", "2.0.1"),
    "ratio": pick("1:2", "3:4", "16:9"),
    "time": [f"{n % 24:02}:{n % 60:02}:{n % 59:02}" for n in range(ROWS)],
    "species_name": pick("Adelie", "Gentoo"),
    "hardware": many("aa:bb:cc:dd:{1}:ee"),
    "handle": pick("@ada", "@bo"),
    "phone_brand": pick("Nokia", "Ericsson", "Sony"),
    "ip_count": RANDOM.integers(0, 99, ROWS).tolist(),
    "isbn": many("978-0-{1}-{2}"),
}


def summary_of(name: str, values: list[Any]) -> ColumnSummary:
    return survey(pd.DataFrame({name: pd.Series(values)})).table.columns[0]


@pytest.mark.parametrize("name", MEANINGS)
def test_a_column_means(name: str) -> None:
    values, expected = MEANINGS[name]
    assert summary_of(name, values).meaning == expected


@pytest.mark.parametrize("name", PERSONAL)
def test_a_column_looks_personal(name: str) -> None:
    values, expected = PERSONAL[name]
    assert summary_of(name, values).personal == expected


@pytest.mark.parametrize("name", INNOCENT)
def test_a_column_only_seems_personal(name: str) -> None:
    assert summary_of(name, INNOCENT[name]).personal == ""


@pytest.mark.parametrize("name", [name for name in PERSONAL if name not in {"comment", "birth_date"}])
def test_gaps_and_a_few_others_change_nothing(name: str) -> None:
    values, expected = [*PERSONAL[name][0]], PERSONAL[name][1]
    values[::10] = [None] * len(values[::10])
    values[5] = "unknown"
    assert summary_of(name, values).personal == expected


@pytest.mark.parametrize("hostile", ["a" * 9_999 + "@", "1" * 9_999, "-" * 5_000, ":" * 5_000, "1." * 4_000])
def test_no_form_takes_long_to_refuse(hostile: str) -> None:
    found = summary_of("x", [f"{hostile}{n % 7}" for n in range(200)])
    assert found.rows == 200
