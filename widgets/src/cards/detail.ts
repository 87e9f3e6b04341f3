// What the choice rests on: the candidate beside the champion; and what happened before.

import { fill, h } from "./dom";
import type { Comparison, Move, Value, View } from "./model";
import { day, difference, shown } from "./shown";
import { trans } from "./words";

/** Rebuild an area only when what it shows has changed. */
export class Area {
  private drawn = "";

  constructor(readonly element: HTMLElement) {}

  draw(about: unknown, make: () => (Node | null)[]): void {
    const now = JSON.stringify(about);
    if (now === this.drawn) return;
    this.drawn = now;
    fill(this.element, ...make());
  }
}

export class Detail {
  private readonly facts = new Area(h("p", { class: "mlp-facts mlp-quiet" }));
  private readonly compare = new Area(h("div", {}));
  readonly elements = [this.facts.element, this.compare.element];

  update(view: View): void {
    const version = view.versions.find((one) => one.version === view.selected);
    const rival = view.holders[view.to];
    this.facts.draw(version ?? null, () =>
      version
        ? [
            h("strong", {}, `v${version.version}`),
            h("span", {}, trans.__("made %1", day(version.made, true))),
            h("span", { title: version.run }, trans.__("run %1", version.run.slice(0, 8) || "–")),
            h("span", {}, version.format),
          ]
        : [],
    );
    this.compare.draw([view.compare, view.selected, view.to, rival], () => comparison(view, rival));
  }
}

function comparison(view: View, rival: string | undefined): Node[] {
  if (!view.compare.length) {
    return [heading(trans.__("Comparison")), h("p", { class: "mlp-quiet" }, trans.__("No metric is known for this version."))];
  }
  const itself = rival === view.selected;
  const head = [
    h("th", { scope: "col" }, trans.__("Metric")),
    h("th", { scope: "col", class: "mlp-number" }, `v${view.selected}`),
  ];
  // Without another version at the alias there is nothing to stand beside: two columns of dashes say less.
  const beside = rival !== undefined && !itself;
  if (beside) {
    head.push(h("th", { scope: "col", class: "mlp-number" }, `${view.to} v${rival}`), h("th", { scope: "col" }, trans.__("Change")));
  }
  const title = beside ? trans.__("v%1 against %2 v%3", view.selected, view.to, rival) : `v${view.selected}`;
  const made = table(title, head, view.compare.map((row) => compared(row, beside)));
  if (beside) made.className = "mlp-against";
  return [heading(title), made];
}

function compared(row: Comparison, beside: boolean): HTMLElement {
  const name = h("th", { scope: "row" }, row.metric);
  if (!beside) return h("tr", {}, name, number(row.candidate));
  const verdict = row.noise ? trans.__("inside the noise") : row.better === null ? "" : row.better ? trans.__("better") : trans.__("worse");
  const tone = row.better === null ? "mlp-quiet" : row.better ? "mlp-good" : "mlp-bad";
  return h(
    "tr",
    {},
    name,
    number(row.candidate),
    number(row.champion),
    h("td", { class: tone }, [difference(row.candidate, row.champion), verdict].filter(Boolean).join(" ") || "–"),
  );
}

export class History {
  private readonly title = h("summary", {});
  private readonly body = new Area(h("div", { class: "mlp-scroll", tabindex: "0", role: "group", "aria-label": trans.__("History") }));
  readonly element = h("details", { class: "mlp-history" }, this.title, this.body.element);

  update(moves: Move[]): void {
    this.element.hidden = moves.length === 0;
    const now = trans.__("History (%1)", moves.length.toLocaleString("en-US"));
    if (this.title.textContent !== now) this.title.textContent = now;
    const head = [trans.__("When"), trans.__("Who"), trans.__("What"), trans.__("Why")].map((text) => h("th", { scope: "col" }, text));
    this.body.draw(moves, () => {
      const made = table(trans.__("History"), head, moves.map(moved));
      made.className = "mlp-moves";
      return [made];
    });
  }
}

function moved(move: Move): HTMLElement {
  return h(
    "tr",
    {},
    h("td", { class: "mlp-when" }, h("time", { datetime: move.when, title: move.when }, day(move.when, true))),
    h("td", {}, move.who),
    h("td", {}, move.what),
    h("td", { class: "mlp-wide" }, move.reason),
  );
}

/** A cell set to the right; a number stays on one line, words may break. */
export function number(value: Value, tone = ""): HTMLElement {
  return h("td", { class: `mlp-number ${typeof value === "number" ? "mlp-whole" : ""} ${tone}` }, shown(value));
}

export function heading(text: string, after?: Node): HTMLElement {
  return h("div", { class: "mlp-heading" }, h("span", { role: "heading", "aria-level": "4" }, text), after);
}

export function table(name: string, head: HTMLElement[], rows: HTMLElement[]): HTMLElement {
  const table = h("table", { "aria-label": name }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
  // On a narrow page the rows become grids, and Chromium then forgets what they are.
  const roles = { "thead, tbody": "rowgroup", tr: "row", td: "cell", "th[scope=col]": "columnheader", "th[scope=row]": "rowheader" };
  for (const [which, role] of Object.entries(roles)) {
    for (const part of table.querySelectorAll(which)) part.setAttribute("role", role);
  }
  table.setAttribute("role", "table");
  return table;
}
