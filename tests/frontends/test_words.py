"""Each word of the JupyterLab extension and of the promotion desk goes through JupyterLab's translator."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("babel")  # JupyterLab brings it
from babel.messages.jslexer import tokenize

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "widgets"))
from catalogue import FILES, catalogue, messages

_CALLS = {"trans.__", "trans._n"}
_WORD = re.compile(r"[A-Za-z]{2,}")
# Names, what a developer sees, and code for the notebook: nobody translates those.
_NAMES = {
    "MLOps",
    "MLflow",
    "JupyterLab",
    "Python 3 (ipykernel)",
    "Default",
    "None",
    "Content",
    "If-None-Match",
    "ETag",
    "POST",
    "FINISHED",
    "KILLED",
    "Run",
    "Failure",
    "mlops-magics has no module ${name}",
    "not applicable",  # a verdict, as the kernel has it
    "thead, tbody",
}
_KEYS = {"Enter", "Escape", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End"}
_LISTED = "Runs, models, endpoints and alerts beside the notebook."  # of a list of plugins, asked for earlier


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """List the texts of a file that are not handed to the translator."""
    depth, inside, name = 0, None, ""
    for token in tokenize(path.read_text("utf-8"), jsx=False, dotted=True):
        if token.type == "operator":
            if token.value == "(":
                depth += 1
                if name in _CALLS and inside is None:
                    inside = depth
            elif token.value == ")":
                if depth == inside:
                    inside = None
                depth -= 1
        elif token.type in {"string", "template_string"} and inside is None:
            yield token.lineno, token.value[1:-1]
        name = token.value if token.type == "name" else ""


def prose(text: str) -> bool:
    """Tell whether somebody would read a text as words: several of them, or one that begins a sentence."""
    words = re.sub(r"\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", " ", text)
    if text in _NAMES | _KEYS or text == _LISTED or re.search(r"[\[\]=>]|^[%:.@#]", words.strip()):
        return False
    parts = words.split()
    if all(re.fullmatch(r"(mlp|jp)[-\w]*|[-·:/]*", part) for part in parts):
        return False
    read = [part for part in parts if _WORD.fullmatch(part.strip(".,:;?!…()"))]
    return len(read) > 1 or (len(read) == 1 and read[0][0].isupper())


def test_a_text_outside_of_the_translator_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "x.ts"
    file.write_text(
        'a(trans.__("Kept words", b("x")), "Lost words", `Lost ${name} here`, "mlp-quiet mlp-none");'
    )
    assert [text for _, text in literals(file) if prose(text)] == ["Lost words", "Lost ${name} here"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_word_is_shown_past_the_translator(path: Path) -> None:
    assert [found for found in literals(path) if prose(found[1])] == []


def test_the_catalogue_has_each_word() -> None:
    found = list(messages())
    for path in FILES:
        calls = len(re.findall(r"\btrans\.(?:__|_n)\(", path.read_text("utf-8")))
        assert calls == sum(name == path.name for name, *_ in found), path.name
    made = catalogue()
    assert made.get("Nothing asks for your attention.") is not None
    assert made.get(("%1 alert", "%1 alerts")) is not None
    assert made.get("Badges on tracked cells", "settings") is not None
    assert made.get("Why this version, and why now? It is kept in the history.") is not None
    assert made.get("%1 is version %2 now.") is not None
    assert made.get("MLflow is starting…") is not None
    assert made.get("The model brings code of its author: %1.") is not None
