"""A sentence is an English text everywhere, and for a page what a translator makes one of."""

from __future__ import annotations

import copy
import json
import pickle

import orjson
import pytest

from mlops_magics.foundation.sentences import Sentence, spoken


def written(value: object) -> object:
    return json.loads(orjson.dumps(value, spoken, orjson.OPT_PASSTHROUGH_SUBCLASS))


@pytest.mark.parametrize(
    ("made", "english"),
    [
        (Sentence("Nothing."), "Nothing."),
        (Sentence("%2 before %1", "a", 3), "3 before a"),
        (Sentence("50 %% of %1", "%2"), "50 % of %2"),
        (Sentence("%mlops is no place, %9 neither", "x"), "%mlops is no place, %9 neither"),
    ],
)
def test_the_values_stand_in_their_places(made: Sentence, english: str) -> None:
    assert made == english
    assert f"{made}!" == f"{english}!"
    assert json.dumps(made) == json.dumps(english)


def test_a_page_is_given_the_text_and_what_belongs_in_it() -> None:
    inner = Sentence("version %1", 3)
    told = {"what": Sentence("%1 of %2", inner, "churn"), "plain": "%1", "rows": [1, Sentence("x")]}
    assert written(told) == {
        "what": {"%": ["%1 of %2", {"%": ["version %1", "3"]}, "churn"]},
        "plain": "%1",
        "rows": [1, {"%": ["x"]}],
    }


def test_what_is_no_sentence_is_written_as_it_is() -> None:
    class Text(str):
        __slots__ = ()

    class Table(dict[str, int]):
        pass

    assert written([Text("a"), Table(b=1)]) == ["a", {"b": 1}]
    with pytest.raises(TypeError):
        written(object())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301 - our own
def test_a_copy_is_the_same_sentence(copied: object) -> None:
    one = Sentence("100 %% of %1", "%1 %%")
    other = copied(one)  # type: ignore[operator]
    assert (other, other.text, other.values) == (one, one.text, one.values)
