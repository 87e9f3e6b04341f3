// What is said of the whole table: segments, what is missing together, changes, first rows.

import { h, unseen } from "./dom";
import { interval, scale } from "./draw";
import type { Alert, Overview, Segment } from "./profile_model";
import { plural, shown } from "./shown";
import { copier, name, percent, whole, words } from "./text";

type Go = (column: number) => void;
type Say = (text: string) => void;

const ALERTS = 4; // shown at first
const WIDTH = 130;

/** What harms most, first; a press shows the column. */
export function alertList(view: Overview, go: Go, say: Say): HTMLElement | null {
  if (!view.alerts.length) return null;
  const items = view.alerts.map((alert) => alertItem(alert, go, say));
  const list = h("ul", { class: "mlp-alerts", "aria-label": "Alerts, the worst first" }, ...items);
  const hidden = items.slice(ALERTS);
  if (hidden.length < 2) return h("div", { class: "mlp-harms" }, list);
  for (const item of hidden) item.hidden = true;
  const more = h("button", { type: "button", class: "mlp-link" }, `Show ${plural(hidden.length, "more alert")}`);
  more.addEventListener("click", () => {
    for (const item of hidden) item.hidden = false;
    (hidden[0]?.querySelector("button") ?? list).focus();
    more.remove();
  });
  return h("div", { class: "mlp-harms" }, list, more);
}

function alertItem(alert: Alert, go: Go, say: Say): HTMLElement {
  const at = alert.columns[0];
  const what = at === undefined ? h("span", { class: "mlp-what" }, ...words(alert.what)) : h("button", { type: "button", class: "mlp-what" }, ...words(alert.what));
  if (at !== undefined) what.addEventListener("click", () => go(at));
  return h(
    "li",
    { class: `mlp-alert mlp-level-${alert.level}` },
    h("span", { class: "mlp-level" }, alert.level),
    h("span", { class: "mlp-said" }, what, h("span", { class: "mlp-quiet" }, ...words(alert.remedy))),
    alert.code && copier(alert.code, "what to do", say),
  );
}

export function segments(view: Overview, go: Go, say: Say): HTMLElement {
  const target = view.target;
  if (!target) return h("p", { class: "mlp-quiet" }, "Name a target to see where it differs.");
  if (!view.segments.length) return h("p", { class: "mlp-quiet" }, "The target differs nowhere beyond chance.");
  const amount = (value: number) => (target.rate ? percent(value) : shown(value));
  const at = scale([target.value, ...view.segments.flatMap((one) => [one.low, one.high])], WIDTH);
  const row = (one: Segment) => {
    const title = one.column === null ? h("span", {}, ...words(one.what)) : h("button", { type: "button", class: "mlp-link" }, ...words(one.what));
    if (one.column !== null) title.addEventListener("click", () => go(one.column as number));
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, title),
      number(shown(one.rows)),
      number(percent(one.share)),
      number(amount(one.value)),
      h("td", { class: "mlp-span" }, interval(at, one.value, one.low, one.high, target.value, WIDTH), unseen(`${amount(one.low)} to ${amount(one.high)}`)),
      number(`${one.difference > 0 ? "+" : "−"}${amount(Math.abs(one.difference)).replace("%", "pp")}`),
      h("td", {}, one.code && copier(one.code, "rows of this segment", say)),
    );
  };
  return h(
    "div",
    {},
    h("p", {}, ...words(target.words), ` is ${amount(target.value)} in all rows (the upright line). It differs most here:`),
    table("Segments", ["Portion", "Rows", "Share", target.rate ? "Rate" : "Mean", "95 % interval", "Difference", "Code"], [1, 2, 3, 5], view.segments.map(row)),
  );
}

/** Columns by the most frequent sets of gaps. */
export function missing(view: Overview, go: Go): HTMLElement {
  const { columns, patterns, more } = view.patterns;
  if (!patterns.length) return h("p", { class: "mlp-quiet" }, "No value is missing.");
  const rows = columns.map((at, place) => {
    const column = view.columns[at];
    const button = h("button", { type: "button", class: "mlp-link" }, name(column?.name ?? "", 32));
    button.addEventListener("click", () => go(at));
    const cells = patterns.map((one) => {
      const gone = one.gaps.includes(place);
      return h("td", { class: gone ? "mlp-gap" : "mlp-held" }, unseen(gone ? "missing" : "there"));
    });
    return h("tr", {}, h("th", { scope: "row" }, button), number(percent(column?.missing ?? 0)), ...cells);
  });
  const heads = patterns.map((one) => percent(one.share));
  const head = h("tr", {}, h("th", { scope: "col" }, "Column"), h("th", { scope: "col", class: "mlp-number" }, "Missing"), ...heads.map((text, at) => h("th", { scope: "col", class: "mlp-pattern", title: plural(patterns[at]?.rows ?? 0, "row") }, text)));
  return h(
    "div",
    {},
    h("p", {}, "Each upright strip is a set of gaps that occurs together, with its share of the rows; filled is missing."),
    scroller("What is missing together", h("table", { class: "mlp-patterns", "aria-label": "What is missing together" }, h("thead", {}, head), h("tbody", {}, ...rows))),
    more > 0 && h("p", { class: "mlp-quiet" }, `and ${plural(more, "more column")} with gaps`),
  );
}

export function changes(view: Overview, go: Go): HTMLElement {
  const changed = view.changes.filter((one) => one.status !== "same");
  const against = h("p", {}, `${changed.length.toLocaleString("en-US")} of ${plural(view.changes.length, "column")} changed against `, name(view.against ?? ""), ".");
  const rows = changed.map((one) => {
    const title = one.column === null ? name(one.name) : h("button", { type: "button", class: "mlp-link" }, name(one.name));
    if (one.column !== null) title.addEventListener("click", () => go(one.column as number));
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, title),
      h("td", {}, one.status),
      number(one.distance === null ? "" : shown(one.distance)),
      h("td", { class: "mlp-number" }, whole(one.before, 24)),
      h("td", { class: "mlp-number" }, whole(one.after, 24)),
      h("td", {}, ...words(one.words)),
    );
  });
  return h("div", {}, against, rows.length ? table("Changes", ["Column", "Status", "Distance", "Before", "Now", "What changed"], [2, 3, 4], rows) : null);
}

export function firstRows(view: Overview): HTMLElement {
  const { columns, rows } = view.head;
  if (!rows.length) return h("p", { class: "mlp-quiet" }, "There are no rows.");
  const numeric = Array.from({ length: columns }, (_, at) => rows.every((row) => row[at] === null || typeof row[at] === "number"));
  const side = (at: number) => (numeric[at] ? "mlp-number" : "");
  const head = view.columns.slice(0, columns).map((column, at) => h("th", { scope: "col", class: side(at) }, name(column.name, 24)));
  const body = rows.map((row) => h("tr", {}, ...row.map((value, at) => h("td", { class: side(at) }, value === null ? h("span", { class: "mlp-quiet" }, "–") : whole(value, 40)))));
  const more = view.columns.length - columns;
  return h(
    "div",
    {},
    scroller("First rows", h("table", { class: "mlp-rows", "aria-label": "First rows" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body))),
    more > 0 && h("p", { class: "mlp-quiet" }, `and ${plural(more, "more column")}`),
  );
}

export function scroller(label: string, child: Node): HTMLElement {
  return h("div", { class: "mlp-sideways", tabindex: "0", role: "group", "aria-label": label }, child);
}

function number(text: string): HTMLElement {
  return h("td", { class: "mlp-number" }, text);
}

function table(label: string, heads: string[], right: number[], rows: HTMLElement[]): HTMLElement {
  const head = heads.map((text, at) => h("th", { scope: "col", class: right.includes(at) ? "mlp-number" : "" }, text));
  return scroller(label, h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}
