// The table of columns: sorted by any heading, filtered, and quick with thousands of rows: only those in
// view are in the page.

import { fill, h, say, unseen } from "./dom";
import { bars, frame, shares } from "./draw";
import type { Column, Overview } from "./profile_model";
import { plural, shown } from "./shown";
import { name, percent } from "./text";

const ROW = 27; // px; profile.css has the same
const SPARE = 12; // rows kept above and below those in view
const ALL = 200; // up to so many columns all rows are in the page, for the browser's own search
const WIDTH = 96;
const HARM = ["", "low", "medium", "high"];

interface Heading {
  key: string;
  title: string;
  number: boolean;
  value: (column: Column, at: number) => string | number | boolean | null;
}

const HEADINGS: Heading[] = [
  { key: "name", title: "Column", number: false, value: (column) => column.name.toLowerCase() },
  { key: "meaning", title: "Meaning", number: false, value: (column) => column.meaning },
  { key: "missing", title: "Missing", number: true, value: (column) => column.missing },
  { key: "distinct", title: "Distinct", number: true, value: (column) => column.distinct },
  { key: "drawing", title: "Distribution", number: false, value: (column) => (column.bars ? -1 : (column.shares?.[0] ?? -2)) },
  { key: "mean", title: "Mean", number: true, value: (column) => column.mean },
  { key: "std", title: "Std", number: true, value: (column) => column.std },
  { key: "low", title: "Min", number: true, value: (column) => column.low },
  { key: "high", title: "Max", number: true, value: (column) => column.high },
  { key: "skill", title: "Skill", number: true, value: (column) => column.skill },
];

export class ColumnTable {
  readonly element: HTMLElement;
  private readonly search = h("input", { type: "search", placeholder: "Filter columns", "aria-label": "Filter columns by name, meaning or value", autocomplete: "off", spellcheck: "false" });
  private readonly meaning = h("select", { "aria-label": "Meaning" });
  private readonly which = h("select", { "aria-label": "Which columns" });
  private readonly count = h("span", { class: "mlp-quiet", role: "status" });
  private readonly body = h("tbody", {});
  private readonly above = h("tr", { "aria-hidden": "true" });
  private readonly below = h("tr", { "aria-hidden": "true" });
  private readonly scroll: HTMLElement;
  private readonly heads: [Heading, HTMLElement][];
  private readonly skilled: boolean;
  private rows = new Map<number, HTMLElement>();
  private order: number[] = [];
  private sorted = "";
  private up = true;
  private stop = 0;
  private frame = 0;

  constructor(
    private readonly view: Overview,
    private readonly onChoose: (column: number) => void,
    private chosen = -1,
  ) {
    this.skilled = view.columns.some((column) => column.skill !== null);
    this.heads = HEADINGS.filter((one) => one.key !== "skill" || this.skilled).map((one) => [one, this.heading(one)]);
    const table = h(
      "table",
      { class: "mlp-columns", "aria-label": "Columns", "aria-rowcount": String(view.columns.length + 1) },
      h("thead", {}, h("tr", {}, ...this.heads.map(([, head]) => head))),
      this.body,
    );
    this.scroll = h("div", { class: "mlp-window" }, table);
    this.element = h("div", {}, h("div", { class: "mlp-tools" }, this.search, this.meaning, this.which, this.count), this.scroll);
    this.choices();
    this.scroll.addEventListener("scroll", () => {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.paint());
    });
    for (const input of [this.search, this.meaning, this.which]) input.addEventListener("input", () => this.show());
    this.body.addEventListener("click", (event) => {
      const at = (event.target as Element).closest("tr")?.dataset["at"];
      if (at !== undefined) this.choose(Number(at));
    });
    this.body.addEventListener("keydown", (event) => this.steer(event));
    this.show();
  }

  /** Show which column is open; -1 for none. */
  mark(column: number): void {
    this.chosen = column;
    for (const [at, row] of this.rows) this.state(row, at);
  }

  /** Bring a column into view, whatever is filtered away now. */
  reveal(column: number): void {
    if (!this.order.includes(column)) {
      this.search.value = this.meaning.value = this.which.value = "";
      this.show();
    }
    this.stop = Math.max(0, this.order.indexOf(column));
    const top = this.stop * ROW;
    if (top < this.scroll.scrollTop || top > this.scroll.scrollTop + this.scroll.clientHeight - 3 * ROW) {
      this.scroll.scrollTop = Math.max(0, top - 3 * ROW);
    }
    this.paint();
  }

  private choices(): void {
    const meanings = [...new Set(this.view.columns.map((column) => column.meaning))].sort();
    fill(this.meaning, h("option", { value: "" }, "every meaning"), ...meanings.map((one) => h("option", { value: one }, one)));
    fill(this.which, ...[["", "all"], ["alerts", "with alerts"], ["missing", "with gaps"]].map(([value, text]) => h("option", { value: value ?? "" }, text ?? "")));
  }

  private heading(one: Heading): HTMLElement {
    const button = h("button", { type: "button" }, one.title);
    const head = h("th", { scope: "col", class: `mlp-c-${one.key} ${one.number ? "mlp-number" : ""}`, "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      // First as one expects (names up, numbers down), then the other way, then the table's own order.
      const first = !one.number;
      if (this.sorted !== one.key) [this.sorted, this.up] = [one.key, first];
      else if (this.up === first) this.up = !first;
      else this.sorted = "";
      this.show();
    });
    return head;
  }

  private show(): void {
    const wanted = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    this.order = this.view.columns.flatMap((column, at) => (this.fits(column, wanted) ? [at] : []));
    const by = HEADINGS.find((one) => one.key === this.sorted);
    if (by) this.order = sorted(this.order, (at) => by.value(this.view.columns[at] as Column, at), this.up);
    for (const [one, head] of this.heads) {
      head.setAttribute("aria-sort", one.key !== this.sorted ? "none" : this.up ? "ascending" : "descending");
    }
    this.stop = Math.max(0, this.order.indexOf(this.chosen));
    const total = this.view.columns.length;
    say(this.count, this.order.length === total ? plural(total, "column") : `${this.order.length.toLocaleString("en-US")} of ${plural(total, "column")}`);
    this.scroll.scrollTop = 0;
    this.rows.clear();
    this.paint();
  }

  private fits(column: Column, wanted: string[]): boolean {
    if (this.meaning.value && column.meaning !== this.meaning.value) return false;
    if (this.which.value === "alerts" && !column.harm) return false;
    if (this.which.value === "missing" && !column.missing) return false;
    const text = `${column.name}\n${column.meaning}\n${column.top?.[0] ?? ""}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  }

  /** Put the rows in view into the page. */
  private paint(): void {
    const count = this.order.length;
    const height = this.scroll.clientHeight || 20 * ROW;
    const first = count <= ALL ? 0 : Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - SPARE);
    const last = count <= ALL ? count : Math.min(count, Math.ceil((this.scroll.scrollTop + height) / ROW) + SPARE);
    const kept = new Map<number, HTMLElement>();
    const inView: HTMLElement[] = [];
    for (let place = first; place < last; place++) {
      const at = this.order[place] as number;
      const row = this.rows.get(at) ?? this.row(at);
      row.setAttribute("aria-rowindex", String(place + 2));
      this.state(row, at, place);
      kept.set(at, row);
      inView.push(row);
    }
    this.rows = kept;
    this.place([...(first ? [spacer(this.above, first)] : []), ...inView, ...(count > last ? [spacer(this.below, count - last)] : [])]);
    if (!count) fill(this.body, h("tr", {}, h("td", { class: "mlp-quiet", colspan: String(this.heads.length) }, "No column matches.")));
  }

  /** Rows that stay are not touched: the focus stays where it is, and the page where it was scrolled to. */
  private place(rows: HTMLElement[]): void {
    const kept = new Set<Node>(rows);
    for (const row of [...this.body.children]) if (!kept.has(row)) row.remove();
    let at = this.body.firstChild;
    for (const row of rows) {
      if (at === row) at = at.nextSibling;
      else this.body.insertBefore(row, at);
    }
  }

  private state(row: HTMLElement, at: number, place = this.order.indexOf(at)): void {
    const open = at === this.chosen;
    row.classList.toggle("mlp-open", open);
    const button = row.querySelector("button");
    button?.setAttribute("aria-expanded", String(open));
    if (button) button.tabIndex = place === this.stop ? 0 : -1;
  }

  private row(at: number): HTMLElement {
    const column = this.view.columns[at] as Column;
    const mark = h("span", { class: `mlp-dot mlp-harm-${column.harm}`, "aria-hidden": "true" });
    const button = h("button", { type: "button" }, name(column.name), column.harm > 0 && unseen(`, ${HARM[column.harm]} harm`));
    const cells = [
      h("th", { scope: "row", class: "mlp-c-name" }, mark, button),
      h("td", { class: "mlp-c-meaning" }, column.meaning),
      h("td", { class: "mlp-number mlp-c-missing" }, ...missing(column.missing)),
      h("td", { class: "mlp-number mlp-c-distinct" }, `${column.about ? "≈" : ""}${shown(column.distinct)}`),
      h("td", { class: "mlp-c-drawing" }, drawing(column)),
      ...numbers(column),
    ];
    if (this.skilled) cells.push(h("td", { class: "mlp-number mlp-c-skill" }, column.skill === null ? "" : shown(Number(column.skill.toPrecision(2)))));
    return h("tr", { "data-at": String(at) }, ...cells);
  }

  private choose(at: number): void {
    this.stop = this.order.indexOf(at);
    this.rows.get(at)?.querySelector("button")?.focus({ preventScroll: true });
    this.onChoose(at);
  }

  private steer(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / ROW) - 2);
    const last = this.order.length - 1;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last, End: last };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = Math.min(last, Math.max(0, this.stop + step));
    this.reveal(this.order[to] as number);
    this.rows.get(this.order[to] as number)?.querySelector("button")?.focus({ preventScroll: true });
  }
}

function missing(share: number): (Node | string)[] {
  if (!share) return [unseen("none")];
  const bar = frame(36, 10, ...shares([share], 36, 10));
  return [bar, h("span", {}, percent(share))];
}

function drawing(column: Column): Node | null {
  if (column.bars) return frame(WIDTH, 18, bars(column.bars, WIDTH, 18));
  return column.shares ? frame(WIDTH, 18, ...shares(column.shares, WIDTH, 18)) : null;
}

/** Mean to maximum; what has none of them says what it holds instead. */
function numbers(column: Column): HTMLElement[] {
  if (column.mean !== null) {
    const cell = (key: string, value: string | number | boolean | null) => h("td", { class: `mlp-number mlp-c-${key}` }, value === null ? "" : shown(value));
    return [cell("mean", column.mean), cell("std", column.std), cell("low", column.low), cell("high", column.high)];
  }
  const held: (Node | string)[] = column.top
    ? [name(column.top[0], 40), ` ${percent(column.top[1])}`]
    : column.low !== null
      ? [`${shown(column.low)} to ${shown(column.high)}`]
      : [];
  return [h("td", { class: "mlp-c-held", colspan: "4" }, ...held)];
}

function spacer(row: HTMLElement, rows: number): HTMLElement {
  row.style.height = `${rows * ROW}px`;
  return row;
}

/** Sort places by a value; what has none comes last either way, equals stay in the table's order. */
function sorted(places: number[], value: (at: number) => string | number | boolean | null, up: boolean): number[] {
  const keyed = places.map((at) => [at, value(at)] as const);
  const side = up ? 1 : -1;
  keyed.sort(([, a], [, b]) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return (a < b ? -1 : a > b ? 1 : 0) * side;
  });
  return keyed.map(([at]) => at);
}
