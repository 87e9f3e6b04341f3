import os

import pytest

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError
from mlops_magics.frontends.magics.line import Line, read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("  a   b ", ("a", "b")),
        ("'a b' \"c d\" e' f'", ("a b", "c d", "e f")),
        ("--reason='it is so'", ("--reason=it is so",)),
        ('"it\'s" \'"x"\'', ("it's", '"x"')),
        ("a # words", ("a",)),
        ("# words", ()),
        ("a#b '# c' \"d # e\"", ("a#b", "# c", "d # e")),
        (r"C:\data\new.csv '\n'", (r"C:\data\new.csv", r"\n")),
        ("été 😀 'ש ת'", ("été", "😀", "ש ת")),
        ("a|b && c > d $HOME `id` *", ("a|b", "&&", "c", ">", "d", "$HOME", "`id`", "*")),
        ("''", ("",)),
    ],
)
def test_a_line_is_words(text: str, words: tuple[str, ...]) -> None:
    assert read(text, {}) == Line(words, None, silent=False)


@pytest.mark.parametrize(
    ("text", "words", "silent"),
    [("a;", ("a",), True), ("a ; # why", ("a",), True), ("'a;'", ("a;",), False), ("a;b", ("a;b",), False)],
)
def test_a_closing_semicolon_silences(text: str, words: tuple[str, ...], *, silent: bool) -> None:
    assert read(text, {}) == Line(words, None, silent=silent)


@pytest.mark.parametrize("text", ["-o run a b", "a -o run b", "a b -o run", "a b -o run;"])
def test_a_name_to_keep_the_result_is_taken_out(text: str) -> None:
    line = read(text, {})
    assert (line.words, line.keep, line.silent) == (("a", "b"), "run", text.endswith(";"))


@pytest.mark.parametrize(
    "text", ["a -o", "-o 1x", "-o a.b", "-o class", "-o None", "-o ''", "-o 'a b'", "-o --name"]
)
def test_a_name_that_python_cannot_bind_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="-o needs the name of a variable"):
        read(text, {})


@pytest.mark.parametrize("text", ["'a", 'a "b', "it's"])
def test_an_open_quote_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="A quote is not closed in"):
        read(text, {})


def test_a_name_in_braces_is_filled_in_and_stays_one_word() -> None:
    namespace = {"name": "a b -o x; 'c", "n": 3, "brace": "{n}"}
    assert read("--name {name} v{n}-{n} {brace}", namespace).words == (
        "--name",
        "a b -o x; 'c",
        "v3-3",
        "{n}",
    )


@pytest.mark.parametrize(
    "inside",
    [
        "__import__('os').system('id')",
        "print('x')",
        "n.real",
        "n + 1",
        "n!r",
        "n:>9",
        "",
        " n",
        "lambda: 0",
        "n[0]",
    ],
)
def test_what_stands_in_braces_is_only_ever_looked_up(inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(os, "system", called.append)
    with pytest.raises(MLOpsError) as caught:
        read(f'"{{{inside}}}"', {"n": 3})
    assert isinstance(caught.value, NotFoundError)
    assert "braces only look a name up" in caught.value.what
    assert called == []


def test_the_variable_that_was_meant_is_suggested() -> None:
    ours = {"In": [], "Out": {}, "exit": 0, "quit": 0, "get_ipython": 0, "_": 1}
    with pytest.raises(NotFoundError) as caught:
        read("{tresh}", ours | {"thresh": 1})
    assert caught.value.remedy == "Did you mean 'thresh'?"
    with pytest.raises(NotFoundError) as caught:
        read("{tresh}", ours)
    assert caught.value.remedy == "Compute the value in a cell first, and write its name."
