"""Blocks as html: pure strings, everything escaped, light and dark, no script."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mlops_magics.foundation.blocks import (
    Block,
    Cell,
    Code,
    Facts,
    Figure,
    Name,
    Note,
    Phrase,
    Table,
    Title,
    numeric_columns,
    shown,
)

# JupyterLab's variables follow its theme; light-dark() follows the system everywhere else. The class
# is doubled for tables, or JupyterLab's own rules for them would win; colours of a theme are mixed with its
# text colour, or green on a dark ground would be too faint to read. Of a notebook that it does not
# trust JupyterLab shows neither style nor drawings, only texts: what stands apart must do so without them.
# For that are the dots; the one before a badge has no size where there is a style.
STYLE = """
.mlm{color-scheme:light dark;--i:var(--jp-ui-font-color1,light-dark(#1f2328,#e6e6e6));
--q:var(--jp-ui-font-color2,light-dark(#59636e,#a9b1ba));--l:var(--jp-border-color2,light-dark(#d9dee3,#444c56));
--g:color-mix(in srgb,var(--jp-success-color1,light-dark(#1a7f37,#57c46b)) 72%,var(--i));
--b:color-mix(in srgb,var(--jp-error-color1,light-dark(#cf222e,#ff7b72)) 80%,var(--i));
font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--i);max-width:64em;padding:2px 0 6px}
.mlm .t{font-weight:600;font-size:14px;margin:2px 0 6px}
.mlm .t span{font-weight:400;color:var(--q);margin-left:.6em}.mlm .t i{font-size:0}
.mlm .t.good span{color:var(--g)}.mlm .t.bad span{color:var(--b)}
.mlm dl{display:grid;grid-template-columns:max-content 1fr;gap:1px 1.2em;margin:0 0 6px}
.mlm dt{color:var(--q);font-weight:400;white-space:nowrap}.mlm dd{margin:0;overflow-wrap:anywhere}
.mlm table{border-collapse:collapse;margin:2px 0 8px;font-variant-numeric:tabular-nums;color:inherit}
.mlm.mlm table th,.mlm.mlm table td{padding:2px 1.1em 2px 0;text-align:left;
border:0;vertical-align:top;background:none}
.mlm.mlm table th{font-weight:500;color:var(--q);border-bottom:1px solid var(--l)}
.mlm tr{background:none!important}.mlm.mlm table .n{text-align:right;white-space:nowrap}
.mlm .good{color:var(--g)}.mlm .bad{color:var(--b)}.mlm .quiet{color:var(--q)}
.mlm p{margin:2px 0 4px}
.mlm code{font:12px/1.5 var(--jp-code-font-family,ui-monospace,monospace);
background:none;color:inherit}
.mlm pre{margin:2px 0 6px;white-space:pre-wrap;background:none}.mlm svg{max-width:100%;height:auto}
.mlm>.f{display:inline-block;vertical-align:top}
""".replace("\n", "")
# Only pages that have drawings or names in their tables carry this.
CELLS = """
.mlm bdi{overflow-wrap:break-word}.mlm td svg{display:block;height:1.4em}
.mlm td svg,.mlm figure svg{--a:var(--jp-brand-color1,light-dark(#1f6feb,#79b0ff));fill:var(--a);stroke:none}
.mlm td path,.mlm figure path{stroke:var(--a)}
""".replace("\n", "")


def page_part(blocks: Iterable[Block]) -> str:
    """Render blocks as one self-contained piece of html for a notebook's output."""
    blocks = list(blocks)
    style = f"{STYLE}{CELLS}" if any(_rich(block) for block in blocks) else STYLE
    return f"<style>{style}</style>{part(blocks)}"


def _rich(block: Block) -> bool:
    rows = block.rows if isinstance(block, Table) else ()
    return any(isinstance(cell, Name | Phrase | Figure) for row in rows for cell in row)


def part(blocks: Iterable[Block]) -> str:
    """Render blocks without the style, for a page that has ``STYLE`` and ``CELLS`` once and several parts."""
    return f'<div class="mlm">{"".join(_render(block) for block in blocks)}</div>'


def page(title: str, blocks: Iterable[Block]) -> str:
    """Render blocks as a whole page that can be saved, sent and opened offline."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title>"
        "<style>body{margin:2em auto;max-width:64em;padding:0 1em}</style>"
        f"{page_part(blocks)}</html>"
    )


def _render(block: Block) -> str:
    match block:
        case Title(text, badge, tone):
            after = f"<i> · </i><span>{escape(shown(badge))}</span>" if badge else ""
            return f'<div class="t {tone}">{inline(text)}{after}</div>'
        case Facts(pairs):
            rows = "".join(f"<dt>{inline(name)}</dt><dd>{inline(value)}</dd>" for name, value in pairs)
            return f"<dl>{rows}</dl>"
        case Table():
            return _table(block)
        case Note(text, tone):
            return f'<p class="{tone}">{inline(text)}</p>'
        case Code(text):
            return f"<pre><code>{escape(shown(text))}</code></pre>"
        case Figure():
            return f'<div class="f">{inline(block)}</div>'


def inline(value: Cell) -> str:
    """Render one value as html: escaped, names and the texts of drawings set apart from their neighbours.

    Args:
        value: The value.

    Returns:
        The html.
    """
    match value:
        case Figure(svg=svg):
            # What stands between its texts is not drawn: it is read where only the texts are left.
            return svg.replace("</text>", "</text> · ", svg.count("</text>") - 1)
        case Name(text):
            short, whole = shown(value), shown(text)
            title = "" if short == whole else f' title="{escape(whole)}"'
            return f"<bdi{title}>{escape(short)}</bdi>"
        case Phrase(parts):
            return "".join(inline(part) for part in parts)
        case _:
            return escape(shown(value))


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    sides = [' class="n"' if right else "" for right in numeric_columns(table)]
    head = "".join(
        f'<th{side} scope="col">{escape(shown(text))}</th>'
        for side, text in zip(sides, table.headings, strict=True)
    )
    tones = table.tones or ("plain",) * len(table.rows)
    body = "".join(
        f'<tr class="{tone}">'
        + "".join(f"<td{side}>{inline(cell)}</td>" for side, cell in zip(sides, row, strict=True))
        + "</tr>"
        for tone, row in zip(tones, table.rows, strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
