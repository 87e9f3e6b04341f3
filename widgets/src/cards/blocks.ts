// A result's blocks as the page shows them: titles, facts, tables, code, notes.

import { h } from "./dom";
import type { Block, Value } from "./runs_model";
import { scroller } from "./sections";
import { shown } from "./shown";
import { whole } from "./text";
import { trans } from "./words";

const LONG = 160; // characters of a cell, beyond which it opens

export function blocks(parts: Block[]): HTMLElement[] {
  return parts.map(block);
}

function block(part: Block): HTMLElement {
  switch (part.kind) {
    case "title":
      return h("div", { class: "mlp-heading" }, h("strong", { role: "heading", "aria-level": "4" }, part.text), h("span", { class: "mlp-quiet" }, part.note));
    case "facts":
      return h("dl", { class: "mlp-facts" }, ...part.pairs.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, whole(value))]));
    case "code":
      return scroller(trans.__("Differences in code"), h("pre", { class: "mlp-diff" }, ...part.lines.map(line)));
    case "note":
      return h("p", { class: "mlp-quiet" }, part.text);
    case "table":
      return table(part.headings, part.rows);
  }
}

function line(text: string): HTMLElement {
  const kind = /^(\+\+\+|---|@@)/.test(text) ? "mlp-quiet" : text.startsWith("+") ? "mlp-added" : text.startsWith("-") ? "mlp-taken" : "";
  return h("span", { class: kind }, `${text}\n`);
}

function table(headings: string[], rows: Value[][]): HTMLElement {
  const numeric = headings.map((_, at) => rows.some((row) => typeof row[at] === "number") && rows.every((row) => typeof row[at] === "number" || row[at] === "-"));
  const side = (at: number) => (numeric[at] ? "mlp-number" : "");
  const head = headings.map((text, at) => h("th", { scope: "col", class: side(at) }, text));
  const cell = (value: Value) => (value === "" ? "" : typeof value === "number" ? shown(value) : whole(value, LONG));
  const body = rows.map((row) => h("tr", {}, ...row.map((value, at) => (at ? h("td", { class: side(at) }, cell(value)) : h("th", { scope: "row" }, cell(value))))));
  return scroller(headings[0] ?? "", h("table", { "aria-label": headings[0] ?? "" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body)));
}
