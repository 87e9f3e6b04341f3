from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import CompletionContext, provisionalcompleter

from mlops_magics.frontends.magics.complete import Matcher


def _offered(shell: Any, text: str) -> list[str]:
    line = text.rpartition("\n")[2]
    context = CompletionContext(
        token=line.rpartition(" ")[2],
        full_text=text,
        cursor_position=len(line),
        cursor_line=text.count("\n"),
        limit=None,
    )
    (matcher,) = shell.Completer.custom_matchers
    return [item.text for item in matcher(context)["completions"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%mlops_evaluate run test --targ", ["--target"]),
        ("%mlops --", ["--store", "--artifacts", "--page"]),
        ("%%mlops_track --na", ["--name"]),
        ("x = 1\n%mlops --st", ["--store"]),
        ("%%mlops_track\n%mlops --st", ["--store"]),
    ],
)
def test_flags_are_offered(shell: Any, text: str, expected: list[str]) -> None:
    assert _offered(shell, text) == expected


def test_the_flag_to_keep_a_result_is_offered(shell: Any) -> None:
    assert "-o" in _offered(shell, "%mlops -")


def test_tables_models_and_results_are_offered_and_other_names_are_not(shell: Any) -> None:
    class Model:
        def predict(self) -> None: ...

    class Loud:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    shell.user_ns |= {
        "train": pd.DataFrame(),
        "tree": Model(),
        "text": "x",
        "trap": Loud(),
        "_t": pd.DataFrame(),
    }
    assert _offered(shell, "%mlops_evaluate t") == ["train", "tree"]
    assert _offered(shell, "%mlops_evaluate tree tr") == ["train", "tree"]


def test_the_only_values_of_an_option_are_offered(shell: Any) -> None:
    with_choices = [
        (f"%{name}", item)
        for name in ("mlops_evaluate", "mlops_register", "mlops_promote", "mlops_deploy")
        for item in shell.find_line_magic(name).signature.options
        if item.choices
    ]
    for name, item in with_choices:
        assert _offered(shell, f"{name} x {item.flag} ") == list(item.choices)


@pytest.mark.parametrize(
    "text", ["", "%", "x = tr", "%time --", "%mlops_nothing --", "!ls --", "%mlops", "?%mlops "]
)
def test_elsewhere_nothing_is_offered(shell: Any, text: str) -> None:
    assert _offered(shell, text) == []


def test_an_error_offers_nothing_and_is_not_raised(shell: Any) -> None:
    answer = Matcher(shell)(None)
    assert answer["completions"] == []
    assert answer["suppress"] is False


def test_ipythons_own_completer_offers_it(shell: Any) -> None:
    with provisionalcompleter():
        found = [item.text for item in shell.Completer.completions("%mlops --sto", 12)]
    assert "--store" in found


def test_an_alias_completes_the_whole_address(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Matcher, "_stored", lambda _: ("flights", "flights@champion"))
    text = "%mlops_deploy flights@ch"
    with provisionalcompleter():
        (found,) = [item for item in shell.Completer.completions(text, len(text)) if "champion" in item.text]
    assert text[: found.start] + found.text == "%mlops_deploy flights@champion"
