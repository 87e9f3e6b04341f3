"""Html without style and drawings, as JupyterLab shows it where it does not trust: its texts stand apart."""

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

from mlops_magics.foundation.blocks import Block, Code, Facts, Figure, Name, Note, Phrase, Table, Title
from mlops_magics.foundation.html import page_part

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
LINES_AND_CELLS = {"div", "p", "pre", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"}
DRAWING = '<svg><g><text x="0">{}</text><text y="1">{}</text></g></svg>'
SAMPLES: list[Block] = [
    Title("title", "badge", "good"),
    Title(Phrase([Name("name"), " phrase"]), "badge two"),
    Facts([("fact", "value"), (Name("other"), Name("named"))]),
    Table(
        ("heading", "number"), [("cell", 1), (Name("first"), 2), (Figure(DRAWING.format("a", "b"), ""), 3)]
    ),
    Note("note", "bad"),
    Note(Phrase(["with ", Name("somebody")])),
    Code("code"),
    Figure(DRAWING.format("tick", "label"), "words"),
    Figure(DRAWING.format("second", "drawing"), "words"),
]
WORDS = """title · badge name phrase · badge two fact value other named heading number cell 1 first 2 a · b 3
note with somebody code tick · label second · drawing"""


class _Stripped(HTMLParser):
    """The text that stays, and each place where two texts touch that stand in elements of their own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.touching = "", list[str]()
        self._tag, self._styles = "", 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        del attrs
        self._styles += tag == "style"
        self._between(tag)

    def handle_endtag(self, tag: str) -> None:
        self._styles -= tag == "style"
        self._between(tag)

    def _between(self, tag: str) -> None:
        if tag in LINES_AND_CELLS:
            self.text += "\n"
        elif tag != "bdi":  # a name is a word of its sentence
            self._tag = tag

    def handle_data(self, data: str) -> None:
        if self._styles:
            return
        before = self.text[-1:]
        if self._tag and before and not (before.isspace() or data[0].isspace()):
            self.touching.append(f"{self.text[-30:]}<{self._tag}>{data[:30]}")
        self.text += data
        self._tag = ""


def test_there_is_a_sample_of_each_block() -> None:
    assert {type(sample) for sample in SAMPLES} == set(get_args(Block))


def test_blocks_read_well_without_style_and_drawings() -> None:
    stripped = _Stripped(page_part(SAMPLES))
    assert stripped.touching == []
    assert stripped.text.split() == WORDS.split()


def test_stored_outputs_read_well_without_style_and_drawings() -> None:
    read = 0
    for book in NOTEBOOKS:
        for cell in json.loads(book.read_text("utf-8"))["cells"]:
            for output in cell.get("outputs", ()):
                html = "".join(output.get("data", {}).get("text/html", ""))
                if 'class="mlm"' in html:
                    assert _Stripped(html).touching == [], book.name
                    read += 1
    assert read > 50
