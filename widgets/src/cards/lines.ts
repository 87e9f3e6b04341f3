// Runs as lines over parallel axes. A range drawn on an axis is a filter; the page alone draws, the kernel filters.

import { HIGH, TOP, edge, inside, labels, part, share, y, type Range } from "./axes";
import { fill, h, say } from "./dom";
import { round, svg } from "./draw";
import type { Axis, Column, Lines } from "./runs_model";
import { shown } from "./shown";
import { cut, name, strength } from "./text";

const LEFT = 26;
const RIGHT = 74; // the last axis's labels stand beside it
const TIGHT = 58; // px between two axes at least
const NEAR = 9; // px from a line or an axis within which it is meant
const HUES = 7;
const STEP = 0.05; // of an axis, for a key

interface Asks {
  brush(terms: string): void;
  colour(key: string): void;
  select(run: string): void;
}

export class LinesPane {
  readonly element: HTMLElement;
  private readonly picture = svg("svg", { class: "mlp-lines", role: "group", "aria-label": "Parallel coordinates", height: HIGH });
  private readonly paths = svg("g", { "aria-hidden": "true" });
  private readonly over = svg("path", { class: "mlp-over", "aria-hidden": "true" });
  private readonly axes = svg("g", {});
  private readonly told = h("span", { class: "mlp-told", "aria-hidden": "true" });
  private readonly key = h("div", { class: "mlp-legend" });
  private readonly chips = h("div", { class: "mlp-chips", role: "group", "aria-label": "Ranges drawn on axes" });
  private readonly words = h("p", { class: "mlp-quiet" });
  private readonly detail = h("details", {});
  private readonly observer: ResizeObserver;
  private data: Lines | undefined;
  private brushes = new Map<string, Range>();
  private drawn: (SVGElement | undefined)[] = [];
  private selected: string[] = [];
  private width = 0;
  private room = 0;
  private dragged: { axis: Axis; from: number; moved: boolean } | undefined;

  constructor(
    private readonly columns: Map<string, Column>,
    private readonly asks: Asks,
  ) {
    this.picture.append(this.paths, this.over, this.axes);
    const box = h("div", { class: "mlp-plane" }, this.picture);
    this.element = h("div", { class: "mlp-coordinates" }, h("div", { class: "mlp-bar" }, this.key, this.told), box, this.chips, this.words, this.detail);
    this.observer = new ResizeObserver(() => {
      if (box.clientWidth && box.clientWidth !== this.room) this.draw();
    });
    this.observer.observe(box);
    this.picture.addEventListener("pointerdown", (event) => this.press(event));
    this.picture.addEventListener("pointermove", (event) => this.move(event));
    this.picture.addEventListener("pointerup", (event) => this.lift(event));
    this.picture.addEventListener("pointercancel", () => (this.dragged = undefined));
    this.picture.addEventListener("pointerleave", () => this.point(-1));
  }

  stop(): void {
    this.observer.disconnect();
  }

  show(data: Lines): void {
    this.data = data;
    const keys = new Set(data.axes.map((axis) => axis.key));
    for (const key of this.brushes.keys()) if (!keys.has(key)) this.brushes.delete(key);
    this.legend(data);
    const left = data.left_out.length ? ` Too many different texts for an axis: ${data.left_out.map((one) => cut(one, 24)).join(", ")}.` : "";
    say(this.words, `${data.words}${left}`);
    this.tell(data);
    this.draw();
  }

  mark(selected: string[]): void {
    this.selected = selected;
    this.shade();
  }

  clear(): void {
    this.brushes.clear();
    this.brushed();
  }

  /** The ranges as terms of a filter, which the kernel reads as it reads the box. */
  private terms(): string {
    return (this.data?.axes ?? []).flatMap((axis) => {
      const range = this.brushes.get(axis.key);
      if (!range) return [];
      const key = quoted(axis.key);
      if (axis.levels) return [`${key}=${inside(axis, range).map(([text]) => quoted(text)).join(",")}`];
      const low = range[0] > 0 ? [`${key}>=${edge(axis, range[0], 0)}`] : [];
      const high = range[1] < 1 ? [`${key}<=${edge(axis, range[1], 1)}`] : [];
      return [...low, ...high];
    }).join(" ");
  }

  private draw(): void {
    const { data } = this;
    this.room = (this.picture.parentElement as HTMLElement).clientWidth || 800;
    this.width = Math.max(this.room, LEFT + RIGHT + ((data?.axes.length ?? 1) - 1) * TIGHT); // wider than the card: it scrolls
    this.picture.setAttribute("width", String(this.width));
    this.picture.setAttribute("viewBox", `0 0 ${this.width} ${HIGH}`);
    if (!data) return;
    const hue = data.axes.find((axis) => axis.key === data.colour);
    const less = this.columns.get(data.colour ?? "")?.better === false;
    const order = data.runs.map((_, at) => at);
    const share = (at: number) => {
      const value = hue?.values[at];
      return hue === undefined || value === null || value === undefined ? -1 : less ? 1 - part(hue, value) : part(hue, value);
    };
    order.sort((a, b) => share(a) - share(b)); // the best are drawn last, so that nothing hides them
    this.drawn = [];
    const opacity = Math.max(0.22, Math.min(0.95, 6 / Math.sqrt(data.runs.length || 1)));
    this.paths.setAttribute("stroke-opacity", String(round(opacity * 10) / 10));
    this.paths.replaceChildren(
      ...order.map((at) => {
        const size = share(at);
        const line = svg("path", { d: this.line(at), class: size < 0 ? "mlp-hue" : `mlp-hue mlp-hue-${Math.min(HUES - 1, Math.floor(size * HUES))}` });
        this.drawn[at] = line;
        return line;
      }),
    );
    this.axes.replaceChildren(...data.axes.map((axis, at) => this.axis(axis, at)));
    this.shade();
  }

  private x(at: number): number {
    const count = this.data?.axes.length ?? 1;
    return round(count < 2 ? this.width / 2 : LEFT + (at * (this.width - LEFT - RIGHT)) / (count - 1));
  }

  private line(at: number): string {
    let pen = "M";
    return (this.data?.axes ?? []).map((axis, place) => {
      const value = axis.values[at];
      if (value === null || value === undefined) return ((pen = "M"), "");
      const point = `${pen}${this.x(place)} ${y(part(axis, value))}h0`;
      pen = "L";
      return point;
    }).join("");
  }

  private axis(axis: Axis, at: number): SVGElement {
    const x = this.x(at);
    const count = this.data?.axes.length ?? 1;
    const room = Math.max(5, Math.floor((this.width - LEFT - RIGHT) / Math.max(1, count - 1) / 6.6));
    const last = at === count - 1;
    const title = svg("text", { x: at ? (last ? x + RIGHT - 4 : x) : x - LEFT + 2, y: 14, class: "mlp-axis-title", "text-anchor": at ? (last ? "end" : "middle") : "start" });
    title.textContent = cut(axis.title, last ? room + 6 : room);
    const hint = svg("title", {});
    hint.textContent = `${axis.title}: draw on the axis to keep a range`;
    title.append(hint);
    const range = this.brushes.get(axis.key);
    return svg(
      "g",
      { "data-key": axis.key },
      title,
      svg("path", { class: "mlp-axis-line", d: `M${x} ${y(1)}V${y(0)}` }),
      ...labels(axis, count).map(([where, text]) => {
        const label = svg("text", { x: x + 5, y: y(where) + 4, class: "mlp-tick" });
        label.textContent = cut(text, Math.min(room, 12));
        return label;
      }),
      ...(range ? [svg("rect", { class: "mlp-range", x: x - 6, width: 12, y: y(range[1]), height: Math.max(2, y(range[0]) - y(range[1])), rx: 3 })] : []),
      this.handle(axis, x, 1),
      this.handle(axis, x, 0),
    );
  }

  /** An end of the range: with the arrow keys, what drawing does with the pointer. */
  private handle(axis: Axis, x: number, end: 0 | 1): SVGElement {
    const range = this.brushes.get(axis.key) ?? [0, 1];
    const at = y(range[end]);
    const tip = end ? `M${x} ${at}l-5 -6h10z` : `M${x} ${at}l-5 6h10z`;
    const handle = svg("path", {
      class: "mlp-handle",
      d: tip,
      role: "slider",
      tabindex: 0,
      "data-end": end,
      "aria-label": `${end ? "Most" : "Least"} of ${axis.title}`,
      "aria-orientation": "vertical",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": Math.round(range[end] * 100),
      "aria-valuetext": axis.levels ? (axis.levels[Math.round(range[end] * Math.max(1, axis.levels.length - 1))]?.[1] ?? "") : shown(Number(edge(axis, range[end], end))),
    });
    handle.addEventListener("keydown", (event) => this.steer(event as KeyboardEvent, axis, end));
    return handle;
  }

  private steer(event: KeyboardEvent, axis: Axis, end: 0 | 1): void {
    const step = axis.levels ? 1 / Math.max(1, axis.levels.length - 1) : STEP;
    const range: Range = [...(this.brushes.get(axis.key) ?? ([0, 1] as Range))];
    const to = { ArrowUp: range[end] + step, ArrowDown: range[end] - step, PageUp: range[end] + 4 * step, PageDown: range[end] - 4 * step, Home: 0, End: 1, Delete: end }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    range[end] = Math.min(end ? 1 : range[1], Math.max(end ? range[0] : 0, Math.round(to * 1000) / 1000));
    this.keep(axis, range);
    this.brushed();
    this.axes.querySelector<SVGElement>(`g[data-key="${CSS.escape(axis.key)}"] [data-end="${end}"]`)?.focus();
  }

  private place(event: PointerEvent): [x: number, y: number] {
    const box = this.picture.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private press(event: PointerEvent): void {
    const [x, at] = this.place(event);
    const near = (this.data?.axes ?? []).findIndex((_, place) => Math.abs(this.x(place) - x) <= NEAR + 3);
    const axis = this.data?.axes[near];
    if (event.button || at < TOP - 10) return;
    if (axis) {
      this.dragged = { axis, from: at, moved: false };
      this.picture.setPointerCapture(event.pointerId);
      event.preventDefault();
    } else {
      const run = this.data?.runs[this.nearest(x, at)];
      if (run) this.asks.select(run[0]);
    }
  }

  private move(event: PointerEvent): void {
    const [x, at] = this.place(event);
    if (!this.dragged) return this.point(this.nearest(x, at));
    const { axis, from } = this.dragged;
    if (Math.abs(at - from) > 3) this.dragged.moved = true;
    if (!this.dragged.moved) return;
    this.keep(axis, [share(Math.max(at, from)), share(Math.min(at, from))]);
    this.redraw(axis);
    this.shade();
  }

  private lift(_event: PointerEvent): void {
    const { dragged } = this;
    this.dragged = undefined;
    if (!dragged) return;
    if (!dragged.moved) this.brushes.delete(dragged.axis.key); // a press alone takes the range away
    this.brushed();
  }

  private keep(axis: Axis, range: Range): void {
    const none = axis.levels ? !inside(axis, range).length : Number(edge(axis, range[0], 0)) > Number(edge(axis, range[1], 1));
    if (none || (range[0] <= 0 && range[1] >= 1)) this.brushes.delete(axis.key);
    else this.brushes.set(axis.key, range);
  }

  private redraw(axis: Axis): void {
    const at = this.data?.axes.indexOf(axis) ?? -1;
    if (at >= 0) this.axes.children[at]?.replaceWith(this.axis(axis, at));
  }

  private brushed(): void {
    for (const axis of this.data?.axes ?? []) this.redraw(axis);
    this.shade();
    const chips = (this.data?.axes ?? []).flatMap((axis) => {
      const range = this.brushes.get(axis.key);
      if (!range) return [];
      const words = axis.levels ? inside(axis, range).map(([, text]) => text).join(", ") : `${shown(Number(edge(axis, range[0], 0)))} to ${shown(Number(edge(axis, range[1], 1)))}`;
      const chip = h("button", { type: "button", class: "mlp-chip", "aria-label": `Take away the range of ${axis.title}: ${words}` }, name(axis.title, 24), ` ${cut(words, 40)} `, h("span", { "aria-hidden": "true" }, "✕"));
      chip.addEventListener("click", () => {
        this.brushes.delete(axis.key);
        this.brushed();
      });
      return [chip];
    });
    fill(this.chips, ...chips);
    this.asks.brush(this.terms());
  }

  /** Lines outside a range step back; those of selected runs stand out. */
  private shade(): void {
    const { data } = this;
    if (!data) return;
    const ranges = data.axes.flatMap((axis) => {
      const range = this.brushes.get(axis.key);
      return range ? [[axis, axis.levels ? range : [Number(edge(axis, range[0], 0)), Number(edge(axis, range[1], 1))], range] as const] : [];
    });
    this.drawn.forEach((line, at) => {
      const out = ranges.some(([axis, [low, high], range]) => {
        const value = axis.values[at];
        if (value === null || value === undefined) return true;
        if (axis.levels) return part(axis, value) < (low ?? 0) || part(axis, value) > (high ?? 1);
        return (range[0] > 0 && value < (low ?? 0)) || (range[1] < 1 && value > (high ?? 0));
      });
      line?.classList.toggle("mlp-out", out);
      line?.classList.toggle("mlp-chosen", this.selected.includes(data.runs[at]?.[0] ?? ""));
    });
  }

  private nearest(x: number, at: number): number {
    const { data } = this;
    if (!data || data.axes.length < 2) return -1;
    const right = data.axes.findIndex((_, place) => this.x(place) >= x);
    if (right < 1) return -1;
    const [a, b] = [data.axes[right - 1] as Axis, data.axes[right] as Axis];
    const way = (x - this.x(right - 1)) / (this.x(right) - this.x(right - 1));
    let best = -1;
    let far = NEAR;
    for (let run = 0; run < data.runs.length; run++) {
      const [from, to] = [a.values[run], b.values[run]];
      if (from === null || from === undefined || to === null || to === undefined || this.drawn[run]?.classList.contains("mlp-out")) continue;
      const distance = Math.abs(y(part(a, from)) * (1 - way) + y(part(b, to)) * way - at);
      if (distance < far) [best, far] = [run, distance];
    }
    return best;
  }

  private point(run: number): void {
    const { data } = this;
    if (!data) return;
    this.over.setAttribute("d", run < 0 ? "" : this.line(run));
    const hue = data.axes.find((axis) => axis.key === data.colour);
    const value = hue?.values[run];
    say(this.told, run < 0 ? "" : `${cut(data.runs[run]?.[1] ?? "", 40)}${hue && value !== null && value !== undefined ? ` · ${cut(hue.title, 24)} ${shown(value)}` : ""}`);
  }

  private legend(data: Lines): void {
    const hue = data.axes.find((axis) => axis.key === data.colour);
    if (!hue || data.colour === null) return fill(this.key);
    const select = h("select", { "aria-label": "Colour by" }, ...data.colours.map((key) => h("option", { value: key, selected: key === data.colour }, cut(this.columns.get(key)?.name ?? key, 30))));
    select.addEventListener("change", () => this.asks.colour(select.value));
    const less = this.columns.get(data.colour)?.better === false;
    const ends = [shown(hue.low), shown(hue.high)];
    if (less) ends.reverse();
    fill(this.key, h("span", { class: "mlp-quiet" }, "Colour"), select, h("span", { class: "mlp-quiet" }, ends[0]), h("span", { class: "mlp-ramp", "aria-hidden": "true" }), h("span", { class: "mlp-quiet" }, ends[1]));
  }

  /** The axes as a table, for those who do not see the drawing. */
  private tell(data: Lines): void {
    const going = data.axes.some((axis) => typeof axis.goes === "number");
    const heads = ["Axis", "Least", "Most", ...(going ? [`Rank correlation with ${cut(this.columns.get(data.colour ?? "")?.name ?? "", 24)}`] : [])];
    const rows = data.axes.map((axis) => {
      const ends = axis.levels ? [axis.levels.map(([, text]) => text).join(", "), ""] : [shown(axis.low), shown(axis.high)];
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, name(axis.title, 40)),
        h("td", { class: axis.levels ? "" : "mlp-number", colspan: axis.levels ? "2" : undefined }, cut(ends[0] ?? "", 120)),
        !axis.levels && h("td", { class: "mlp-number" }, ends[1]),
        going && h("td", { class: "mlp-number" }, typeof axis.goes === "number" ? strength(axis.goes) : "–"),
      );
    });
    const head = h("tr", {}, ...heads.map((text, at) => h("th", { scope: "col", class: at ? "mlp-number" : "" }, text)));
    fill(this.detail, h("summary", {}, "The axes as a table"), h("div", { class: "mlp-sideways", tabindex: "0", role: "group", "aria-label": "The axes as a table" }, h("table", { "aria-label": "Axes" }, h("thead", {}, head), h("tbody", {}, ...rows))));
  }
}

/** As steps/track/query.py reads it. */
function quoted(text: string): string {
  return text && !/[\s",<>=!\\]/.test(text) ? text : `"${text.replace(/[\\"]/g, "\\$&")}"`;
}
