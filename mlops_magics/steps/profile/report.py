"""One HTML file that holds a whole profile: it opens offline, and is readable without JavaScript.

The static page stands first. Where the front end is built, the card is mounted over it, fed by the JSON
that lies in the page; a content security policy lets nothing run but these two hashed pieces.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from mlops_magics.foundation.blocks import Block, Cell, Facts, Figure, Name, Note, Table, Title, cut, shown
from mlops_magics.foundation.html import CELLS, STYLE, inline, part
from mlops_magics.stats.summary import TableSummary
from mlops_magics.steps.profile.drawing import area
from mlops_magics.steps.profile.view import View
from mlops_magics.steps.profile.wording import many, percent

DETAILS = 50  # columns whose details are in a report
_SHORT = 200  # characters of a text once the room for long ones is used up
_ROOM = 100_000  # characters of long texts in a report
_LEVELS = 6  # most frequent values on the static page
_PAIRS = 4  # associations there
_STRONGEST = 15  # pairs of columns on the static page
_HEAD = 12  # columns of the first rows on the static page
_PLACE = ("frontends", "widgets", "static")  # read as a file: nothing above this floor is imported
_PAGE = (
    "body{margin:1.5em auto;max-width:72em;padding:0 1em;background:light-dark(#fff,#16181c)}"
    "details{margin:2px 0;border-bottom:1px solid light-dark(#d9dee3,#444c56)}"
    "summary{padding:3px 0;cursor:pointer;font:13px/1.5 system-ui,sans-serif}"
    "details .mlm{margin-left:1.2em}.wide{overflow-x:auto}.mlm figure{margin:4px 0 8px;max-width:40em}"
    ".mlm figure svg{width:100%}"
    ".mlm figcaption{display:flex;justify-content:space-between;color:var(--q)}"
)


def report(view: View, details: Mapping[int, View], blocks: Sequence[Block], table: TableSummary) -> str:
    """Write the report.

    Args:
        view: The overview of the profile.
        details: The details of some columns, by position.
        blocks: The static view of the same profile.
        table: The table.

    Returns:
        The page.
    """
    state = _bounded({"view": view, "details": {str(place): one for place, one in details.items()}})
    script, card_style = _bundle("report.js"), _bundle("profile.css")
    if not script or not card_style:  # not built: the static page stands alone
        script = card_style = ""
    style = f":root{{color-scheme:light dark}}{_PAGE}{STYLE}{CELLS}{card_style}"
    policy = f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    policy += f"; script-src '{_hash(script)}'" if script else ""
    static = part(blocks) + "".join(_sections(state["view"], state["details"], table))
    live = f'<script type="application/json" id="profile">{_json(state)}</script><script>{script}</script>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(cut(shown(view['source']), 80))} · profile</title><style>{style}</style></head>"
        f'<body><main id="static">{_compact(static)}</main>{live if script else ""}</body></html>'
    )


def _compact(html: str) -> str:
    """Leave out what an html parser adds by itself; texts are escaped, so only our own tags are touched."""
    for tag in ("td", "th", "tr", "dt", "dd", "thead", "tbody"):
        html = html.replace(f"</{tag}>", "")
    return (
        html.replace(' class="plain"', "")
        .replace(' class="n"', " class=n")
        .replace(' scope="col"', " scope=col")
    )


def _json(state: View) -> str:
    """Write JSON that can close no script element and end no line of a script."""
    text = json.dumps(state, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _bounded(state: View) -> View:
    """Cut long texts once the room for them is used up: a report is sent by mail."""
    room = [_ROOM]

    def walk(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str) and len(value) > _SHORT:
            room[0] -= len(value)
            return value if room[0] >= 0 else cut(value, _SHORT)
        if isinstance(value, list | tuple):
            return [walk(item) for item in value]
        if isinstance(value, dict):
            return {name: walk(item) for name, item in value.items()}
        return value

    bounded: View = walk(state)
    return bounded


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _bundle(name: str) -> str:
    path = files("mlops_magics").joinpath(*_PLACE, name)
    return path.read_text("utf-8") if path.is_file() else ""


def _sections(view: View, details: Mapping[str, View], table: TableSummary) -> Iterator[str]:
    names = [column["name"] for column in view["columns"]]
    if view["pairs"]:
        pairs: list[list[Cell]] = [
            [Name(names[left]), Name(names[right]), value, measure]
            for left, right, measure, value in view["pairs"][:_STRONGEST]
        ]
        yield part(
            [Title("columns that go together"), Table(("column", "with", "strength", "measure"), pairs)]
        )
    if patterns := view["patterns"]["patterns"]:
        places = view["patterns"]["columns"]
        gaps: list[list[Cell]] = [
            [
                one["rows"],
                percent(one["share"]),
                ", ".join(cut(names[places[gap]], 40) for gap in one["gaps"]) or "none",
            ]
            for one in patterns
        ]
        yield part([Title("what is missing together"), Table(("rows", "share %", "missing"), gaps)])
    if rows := view["head"]["rows"]:
        width = min(_HEAD, view["head"]["columns"])
        head = [[Name(cell) if isinstance(cell, str) else cell for cell in row[:width]] for row in rows]
        block = Table([shown(Name(name)) for name in names[:width]], head)
        yield f'<div class="wide">{part([Title("first rows"), block])}</div>'
    yield part([Title("columns in detail")])
    for one in details.values():
        yield _column(one, names)
    if (more := len(table.columns) - len(details)) > 0:
        yield part([Note(f"{many(more, 'column')} without details: the notebook's card has them.", "quiet")])


def _column(one: View, names: Sequence[str]) -> str:
    blocks: list[Block] = [Facts([("type", f"{one['dtype']}, {one['meaning']}"), *map(tuple, one["facts"])])]
    if one["quantiles"]:
        share, values = zip(*one["quantiles"], strict=True)
        blocks.append(Table(["quantile", *share], [["", *values]]))
    if one["levels"]:
        headings = ("most frequent", "rows", "share %", "target")[: len(one["levels"][0])]
        blocks.append(Table(headings, [_level(level) for level in one["levels"][:_LEVELS]]))
    if one["pairs"]:
        pairs = [[Name(names[place]), value, measure] for place, measure, value in one["pairs"][:_PAIRS]]
        blocks.append(Table(("goes with", "strength", "measure"), pairs))
    blocks += [Note(note, "quiet") for note in one["notes"]]
    summary = f"<summary>{inline(Name(one['name']))} · {escape(one['meaning'])}</summary>"
    return f"<details>{summary}{_drawn(one['drawing'])}{part(blocks)}</details>"


def _level(level: Sequence[Any]) -> list[Cell]:
    value = level[0]
    name = Name(value or "(empty text)") if isinstance(value, str) else shown(value)
    return [name, level[1], percent(level[2]), *level[3:]]


def _drawn(drawing: View | None) -> str:
    if drawing is None:
        return ""
    low, high = drawing["ticks"]
    figure = inline(Figure(area(drawing["counts"], drawing["words"]), ""))
    caption = f"<span>{escape(low)}</span> <span>{escape(high)}</span>"
    return f'<div class="mlm"><figure>{figure}<figcaption>{caption}</figcaption></figure></div>'
