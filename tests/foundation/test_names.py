import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.names import ModelAddress, checked_name, run_id

BAD = [
    "",
    " ",
    "../etc",
    "..",
    "a/b",
    "a\\b",
    "nul\0",
    "a\nb",
    "a\n",
    "x; import os",
    "it's",
    '"a"',
    "`id`",
    "$(id)",
    "{{7*7}}",
    "<script>",
    "été",
    "😀",
    "-rf",
    "a ",
    ".hidden",
    "a@b",
    "a:b",
    "%41",
    "n" * 300,
    "n" * 101,
    "\u202eabc",
]


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_could_be_something_else_is_refused_on_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a model") as caught:
        checked_name(name, "model")
    assert len(caught.value.what) < 100
    assert "\n" not in caught.value.what
    assert "\0" not in caught.value.what
    with pytest.raises(UsageError):
        ModelAddress.parse(f"{name}@champion")


@pytest.mark.parametrize("name", ["a", "7", "flights", "Late flights v2.1", "a_b-c", "n" * 100])
def test_a_plain_name_is_accepted_as_it_is(name: str) -> None:
    assert checked_name(name, "model") == name


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("flights", ModelAddress("flights")),
        ("flights@champion", ModelAddress("flights", alias="champion")),
        ("flights/12", ModelAddress("flights", version="12")),
        ("late flights/1", ModelAddress("late flights", version="1")),
    ],
)
def test_an_address_is_read_and_written_back(text: str, address: ModelAddress) -> None:
    assert ModelAddress.parse(text) == ModelAddress.parse(f"models:/{text}") == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["flights@", "flights@Champion", "flights@a b", "flights@a@b", "flights/", "flights/x",
             "flights/-1", "flights/٣", "a/b/3", "/3", "@champion", "flights/3@champion", "models:/",
             "runs:/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        ModelAddress.parse(text)


def test_a_run_id_is_known_by_its_shape() -> None:
    identifier = "0123456789abcdef" * 2
    assert run_id(identifier) == run_id(f" runs:/{identifier} ") == identifier
    for text in (
        "baseline",
        identifier[:-1],
        identifier.upper(),
        f"{identifier}\nx",
        f"models:/{identifier}",
    ):
        assert run_id(text) is None
