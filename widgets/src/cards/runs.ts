// The table of runs: sorted by any heading, quick with ten thousand runs. Only rows in view are in the page,
// and only pages of rows that were looked at have been asked for.

import { fill, h, unseen } from "./dom";
import type { Column, Origin, Row, Rows, Value, View } from "./runs_model";
import { day, shown } from "./shown";
import { name } from "./text";

const ROW = 27; // px; track.css has the same
const SPARE = 10; // rows kept above and below those in view
const PAGE = 100; // rows of one answer

const OF_RUN: [key: string, title: string, number: boolean][] = [
  ["name", "Run", false],
  ["status", "Status", false],
  ["started", "Started", false],
  ["duration", "Duration", true],
];
const MARKS: Record<string, string> = { FINISHED: "✓", FAILED: "✗", KILLED: "■", RUNNING: "▸", SCHEDULED: "…" };

interface Asks {
  sort(key: string, up: boolean): void;
  page(first: number): void;
  select(run: string): void;
}

export class RunsTable {
  readonly element: HTMLElement;
  private readonly head = h("thead", {});
  private readonly body = h("tbody", {});
  private readonly above = h("tr", { "aria-hidden": "true" });
  private readonly below = h("tr", { "aria-hidden": "true" });
  private readonly table = h("table", { class: "mlp-runs", "aria-label": "Runs" }, this.head, this.body);
  private rows = new Map<number, HTMLElement>();
  private pages = new Map<number, Row[]>();
  private answer: Rows | undefined;
  private view: View | undefined;
  private texts = new Set<string>(); // columns that are set to the left
  private stop = 0;
  private wanted = -1;
  private frame = 0;

  constructor(
    private readonly columns: Map<string, Column>,
    private readonly asks: Asks,
    private selected: string[] = [],
  ) {
    this.element = h("div", { class: "mlp-window" }, this.table);
    this.element.addEventListener("scroll", () => {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.paint());
    });
    this.body.addEventListener("click", (event) => {
      const at = (event.target as Element).closest("tr")?.dataset["at"];
      const row = at === undefined ? undefined : this.row(Number(at));
      if (!row) return;
      this.stop = Number(at);
      this.asks.select(row[0]);
    });
    this.body.addEventListener("keydown", (event) => this.steer(event));
  }

  /** Another filter, order or choice of columns: all is shown anew. */
  show(answer: Rows, view: View): void {
    const sameOrder = this.view?.filter === view.filter && this.view.brush === view.brush && this.view.sort === view.sort && this.view.up === view.up;
    this.answer = answer;
    this.view = view;
    this.pages = new Map([[0, answer.rows]]);
    this.texts = new Set(view.columns.filter((_, at) => answer.rows.some((row) => typeof row[6][at] === "string" && Number.isNaN(Number(row[6][at])))));
    this.rows.clear();
    this.table.setAttribute("aria-rowcount", String(answer.count + 2));
    this.headings();
    if (!sameOrder) this.element.scrollTop = this.stop = 0;
    this.wanted = -1;
    this.wait(false);
    this.paint();
  }

  /** The next page of what is shown. */
  add(answer: Rows): void {
    this.pages.set(answer.first / PAGE, answer.rows);
    this.paint();
    if (this.wanted >= 0 && this.row(this.wanted)) {
      this.focus(this.wanted);
      this.wanted = -1;
    }
  }

  mark(selected: string[]): void {
    this.selected = selected;
    for (const [at, row] of this.rows) this.state(row, at);
  }

  wait(busy: boolean): void {
    this.table.setAttribute("aria-busy", String(busy));
  }

  private row(at: number): Row | undefined {
    return this.pages.get(Math.floor(at / PAGE))?.[at % PAGE];
  }

  private headings(): void {
    const { view } = this;
    if (!view) return;
    const focused = (this.head.getRootNode() as Document).activeElement?.closest("th")?.dataset["key"];
    const own = OF_RUN.map(([key, title, number]) => this.heading(key, title, number));
    const rest = view.columns.map((key) => this.heading(key, this.columns.get(key)?.name ?? key, !this.texts.has(key)));
    const metrics = view.columns.filter((key) => key.startsWith("metrics.")).length;
    const group = (title: string, count: number) => (count ? h("th", { scope: "colgroup", colspan: String(count), class: "mlp-group" }, title) : null);
    const groups = h("tr", { "aria-rowindex": "1" }, h("td", { colspan: String(own.length) }), group("Metrics", metrics), group("Parameters", view.columns.length - metrics));
    fill(this.head, groups, h("tr", { "aria-rowindex": "2" }, ...own, ...rest));
    if (focused) this.head.querySelector<HTMLElement>(`th[data-key="${CSS.escape(focused)}"] button`)?.focus({ preventScroll: true });
  }

  private heading(key: string, title: string, number: boolean): HTMLElement {
    const { view, answer } = this;
    const here = view?.sort === key;
    const better = this.columns.get(key)?.better;
    const hint = better === true ? " (more is better)" : better === false ? " (less is better)" : "";
    const button = h("button", { type: "button", title: `${title}${hint}` }, name(title, 24));
    const same = answer?.same.includes(key) ? "mlp-same" : "";
    const head = h("th", { scope: "col", "data-key": key, class: `${number ? "mlp-number" : ""} ${same} mlp-c-${OF_RUN.some(([own]) => own === key) ? key : "value"}`, "aria-sort": here ? (view?.up ? "ascending" : "descending") : "none" }, button);
    button.addEventListener("click", () => {
      // First as one expects: names up, the newest and the best first; then the other way.
      const first = key === "name" || key === "status" || better === false || key.startsWith("params.");
      this.asks.sort(key, here ? !view?.up : first);
    });
    return head;
  }

  /** Put the rows in view into the page. */
  private paint(): void {
    const count = this.answer?.count ?? 0;
    const height = this.element.clientHeight || 15 * ROW;
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - SPARE);
    const last = Math.min(count, Math.ceil((this.element.scrollTop + height) / ROW) + SPARE);
    const kept = new Map<number, HTMLElement>();
    const inView: HTMLElement[] = [];
    const missing = new Set<number>();
    for (let at = first; at < last; at++) {
      const held = this.row(at);
      if (!held) missing.add(Math.floor(at / PAGE));
      const known = this.rows.get(at);
      const row = known && known.dataset["at"] !== undefined ? known : held ? this.make(held, at) : (known ?? this.empty(at));
      this.state(row, at);
      kept.set(at, row);
      inView.push(row);
    }
    this.rows = kept;
    this.place([...(first ? [spacer(this.above, first)] : []), ...inView, ...(count > last ? [spacer(this.below, count - last)] : [])]);
    if (!count) fill(this.body, h("tr", {}, h("td", { class: "mlp-quiet", colspan: String(this.width()) }, "No run fits the filter.")));
    for (const page of missing) this.asks.page(page * PAGE);
  }

  /** Rows that stay are not touched: the focus stays where it is. */
  private place(rows: HTMLElement[]): void {
    const kept = new Set<Node>(rows);
    for (const row of [...this.body.children]) if (!kept.has(row)) row.remove();
    let at = this.body.firstChild;
    for (const row of rows) {
      if (at === row) at = at.nextSibling;
      else this.body.insertBefore(row, at);
    }
  }

  private width(): number {
    return OF_RUN.length + (this.view?.columns.length ?? 0);
  }

  private empty(at: number): HTMLElement {
    return h("tr", { "aria-rowindex": String(at + 3) }, h("td", { class: "mlp-quiet", colspan: String(this.width()) }, "…"));
  }

  private state(row: HTMLElement, at: number): void {
    const held = this.row(at);
    const on = !!held && this.selected.includes(held[0]);
    row.classList.toggle("mlp-open", on);
    const box = row.querySelector("input");
    if (!box) return;
    box.checked = on;
    box.tabIndex = at === this.stop ? 0 : -1;
  }

  private make(row: Row, at: number): HTMLElement {
    const [id, title, status, started, seconds, origins, cells] = row;
    const box = h("input", { type: "checkbox", "aria-label": `Select ${title || id}` });
    const moment = new Date(started);
    const when = started && !Number.isNaN(moment.getTime()) ? h("time", { datetime: moment.toISOString(), title: day(moment.toISOString(), true) }, ago(started)) : "–";
    const keys = this.view?.columns ?? [];
    return h(
      "tr",
      { "data-at": String(at), "aria-rowindex": String(at + 3) },
      h("th", { scope: "row", class: "mlp-c-name" }, h("div", {}, box, h("span", { class: "mlp-title-of", title: id }, name(title || id, 60)), ...origins.slice(0, 2).map(badge), origins.length > 2 && h("span", { class: "mlp-quiet" }, `+${origins.length - 2}`))),
      h("td", { class: `mlp-c-status mlp-is-${status.toLowerCase()}` }, h("span", { "aria-hidden": "true" }, MARKS[status] ?? ""), status.toLowerCase()),
      h("td", { class: "mlp-c-started" }, when),
      h("td", { class: "mlp-number mlp-c-duration" }, seconds === null ? "–" : span(seconds)),
      ...cells.map((value, place) => this.cell(value, keys[place] ?? "")),
    );
  }

  private cell(value: Value, key: string): HTMLElement {
    const same = `${this.answer?.same.includes(key) ? " mlp-same" : ""}${this.texts.has(key) ? "" : " mlp-number"}`;
    if (value === null) return h("td", { class: `mlp-c-value${same}` }, h("span", { class: "mlp-quiet" }, "–"));
    if (typeof value === "string") return h("td", { class: `mlp-c-value${same}` }, name(value, 28));
    const best = this.answer?.best[key] === value;
    return h("td", { class: `mlp-c-value${same}${best ? " mlp-best" : ""}` }, shown(value), best && unseen(" best"));
  }

  private focus(at: number): void {
    this.rows.get(at)?.querySelector("input")?.focus({ preventScroll: true });
  }

  private steer(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 3);
    const last = (this.answer?.count ?? 0) - 1;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last, End: last };
    if (event.key === "Enter") {
      const held = this.row(this.stop);
      event.preventDefault();
      if (held) this.asks.select(held[0]);
      return;
    }
    const step = steps[event.key];
    if (step === undefined || last < 0) return;
    event.preventDefault();
    this.stop = Math.min(last, Math.max(0, this.stop + step));
    const top = this.stop * ROW;
    const view = this.element.clientHeight - 4 * ROW; // two headings, and a row of air
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + view) this.element.scrollTop = top - view;
    this.paint();
    if (this.row(this.stop)) this.focus(this.stop);
    else this.wanted = this.stop;
  }
}

function badge([model, version, aliases]: Origin): HTMLElement {
  const champion = aliases.includes("champion");
  const of = `${model} version ${version}${aliases.length ? `, ${aliases.join(", ")}` : ""}`;
  return h("span", { class: `mlp-badge${champion ? " mlp-champion" : ""}`, title: `Registered as ${of}` }, unseen("registered as "), name(`${model}/${version}`, 20), aliases[0] && ` ${aliases[0]}`);
}

function spacer(row: HTMLElement, rows: number): HTMLElement {
  row.style.height = `${rows * ROW}px`;
  return row;
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

export function ago(moment: number, now = Date.now()): string {
  const seconds = (moment - now) / 1000;
  for (const [unit, size] of UNITS) if (Math.abs(seconds) >= size) return RELATIVE.format(Math.trunc(seconds / size), unit);
  return "just now";
}

export function span(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const [big, small] = seconds < 3600 ? (["min", "s"] as const) : (["h", "min"] as const);
  const whole = Math.round(seconds < 3600 ? seconds : seconds / 60);
  return `${Math.floor(whole / 60)} ${big} ${whole % 60} ${small}`;
}
