from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.signature import Signature


class Held:
    pass


def verb(  # noqa: PLR0913 - one parameter of each kind
    data: object,
    model: str,
    mode: Literal["fast", "exact"] = "fast",
    *,
    count: int = 3,
    rate: float | None = None,
    path: Path | None = None,
    against: object = None,
    metrics: tuple[str, ...] = (),
    to: Literal["local", "cloud"] = "local",
    dry_run: bool = False,
    wait: bool = True,
    asked: bool | None = None,
    settings: Settings | None = None,
    other: Held | None = None,
) -> dict[str, Any]:
    """Do a thing.

    Args:
        data: A table,
            or its path.
        model: The model.
        count: How many.

    Returns:
        All of it.
    """
    return dict(locals())


def needy(*, name: str) -> str:
    """Need a name."""
    return name


def chosen(endpoint: str | Held | None = None) -> object:
    """Take an endpoint."""
    return endpoint


TABLE = object()
SETTINGS = object()
SIGNATURE = Signature.of(verb, "%mlops_verb")


def parsed(*words: str, signature: Signature = SIGNATURE) -> dict[str, Any]:
    return signature.parse(
        words, look_up=lambda text: TABLE if text == "table" else text, given={"Settings": lambda: SETTINGS}
    )


def test_each_annotation_says_how_its_text_is_read() -> None:
    words = "table table exact --count 7 --rate -0.5 --path a/b --against table --metrics a,,b --to cloud"
    found = parsed(*words.split(), "--dry-run", "--no-wait", "--asked")
    assert found == {
        "data": TABLE,  # looked up
        "model": "table",  # not looked up
        "mode": "exact",
        "count": 7,
        "rate": -0.5,
        "path": Path("a/b"),
        "against": TABLE,  # an object behind a flag is looked up too
        "metrics": ("a", "b"),
        "to": "cloud",
        "dry_run": True,
        "wait": False,
        "asked": True,
        "settings": SETTINGS,
    }
    assert SIGNATURE.call(found) == found | {"other": None}


def test_what_is_not_written_keeps_its_default() -> None:
    found = SIGNATURE.call(parsed("data.csv", "flights"))
    assert found["data"] == "data.csv"
    assert (found["mode"], found["count"], found["rate"], found["metrics"], found["to"]) == (
        "fast", 3, None, (), "local",
    )  # fmt: skip
    assert (found["dry_run"], found["wait"], found["asked"]) == (False, True, None)


def test_a_thing_of_one_class_is_taken_from_the_notebook_only_where_it_is_one() -> None:
    signature, held = Signature.of(chosen, "%c"), Held()
    for value, expected in ((held, held), (TABLE, "x")):
        found = signature.parse(["x"], look_up=lambda _, value=value: value, given={})
        assert signature.call(found) is expected or signature.call(found) == expected
    assert signature.call(signature.parse([], look_up=str, given={})) is None


@pytest.mark.parametrize(
    ("words", "told", "remedy"),
    [
        ("a b --cuont 3", "%mlops_verb has no option --cuont", "Did you mean '--count'?"),
        ("a b --cuont=secret", "has no option --cuont.", "Did you mean '--count'?"),
        ("a b --wait", "has no option --wait", "Did you mean '--no-wait'?"),
        ("a b --met x", "has no option --met", "Usage: %mlops_verb DATA"),
        ("a b fast extra", "one word too many: extra", "Usage: %mlops_verb DATA"),
        ("a", "the following arguments are required: MODEL", "Usage:"),
        ("a b --count three", "--count: invalid int value: 'three'", "Usage:"),
        ("a b --count", "--count: expected one argument", "Usage:"),
        ("a b --to clout", "--to cannot be 'clout'", "Did you mean 'cloud'?"),
        ("a b exakt", "MODE cannot be 'exakt'", "Did you mean 'exact'?"),
    ],
)
def test_what_is_not_understood_is_told_with_the_nearest(words: str, told: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(*words.split())
    assert told in caught.value.what
    assert remedy in caught.value.remedy
    assert "secret" not in str(caught.value)
    assert "\n" not in caught.value.what


def test_a_required_option_is_asked_for() -> None:
    with pytest.raises(UsageError, match="required: --name"):
        parsed(signature=Signature.of(needy, "%n"))
    assert Signature.of(needy, "%n").usage == "%n --name NAME"


def test_help_shows_all_that_may_be_written_and_the_docstring() -> None:
    usage, _, rest = SIGNATURE.help().partition("\n\n")
    assert usage == (
        "%mlops_verb DATA MODEL [MODE] [--count COUNT] [--rate RATE] [--path PATH] [--against AGAINST] "
        "[--metrics A,B] [--to local|cloud] [--dry-run] [--no-wait] [--asked]"
    )
    assert rest.startswith("Do a thing.\n\nArgs:\n    data: A table,")
    abouts = {item.name: item.about for item in SIGNATURE.parameters}
    assert (abouts["data"], abouts["count"], abouts["rate"]) == ("A table, or its path.", "How many.", "")
