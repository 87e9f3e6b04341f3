// The monitor card: anywidget's entry. Alerts, a time axis, the columns; one of them then and now is asked for.

import { fill, fresh, h, say } from "./dom";
import { round, svg } from "./draw";
import { keepKeys, type Live, lost, mount } from "./kernel";
import { day, shown } from "./shown";
import { name, percent } from "./text";

interface Alert { kind: string; subject: string; words: string; since: string; segment: string; cause: string; examples: string[]; then: string }
interface Column { name: string; effect: number; p: number; level: string; alarmed: boolean; importance: number | null }
interface Bar { label: string; then: number; now: number }
interface Detail { column: number; window: number; against: number | null; name: string; words: string; cause: string; course: (number | null)[]; alarmed: number[]; bars: Bar[] }
interface State { place: string; about: string; standing: { tone: string; words: string }; extent: string; alerts: Alert[]; windows: string[]; columns: Column[]; notes: string[] }
interface Answer { id: string; detail?: Detail; error?: { what: string; remedy: string } }
interface Model extends Live {
  get(name: "state"): State | undefined;
  get(name: "selected"): number | undefined;
  get(name: "layout"): { comm_live?: boolean } | undefined;
  send(content: unknown): void;
  on(event: string, listener: (content: unknown) => void): void;
  off(event: string, listener: (content: unknown) => void): void;
}

const WIDE = 640;
const HIGH = 72;
const SLOW = 8000; // ms without an answer, after which the card says what it waits for

class Card {
  readonly element = h("div", { class: "mlops-magics-monitor mlp mlp-monitor", role: "group", "aria-label": "Monitor" });
  private readonly status = h("div", { class: "mlp-status", role: "status" });
  private readonly axis = h("div", {});
  private readonly pane = h("div", { "aria-live": "off" });
  private readonly pick = h("input", { type: "range", min: "0", step: "1" });
  private readonly beside = h("select", {});
  private readonly here = h("span", {});
  private buttons: HTMLElement[] = [];
  private state: State | undefined;
  private column = -1;
  private asked = "";
  private slow = 0;
  private heard = 0;
  private gone = false;

  constructor(private readonly model: Model, private readonly host: HTMLElement) {
    keepKeys(this.element);
    this.pick.addEventListener("input", () => this.ask());
    this.beside.addEventListener("change", () => this.ask());
    this.build();
    this.look();
  }

  /** The whole state came: at the start, and when the kernel looks anew. */
  build = (): void => {
    const state = this.model.get("state");
    this.state = state && "columns" in state ? state : undefined;
    if (!this.state) {
      fill(this.element, h("div", { class: "mlp-head mlp-quiet" }, "Loading what was seen…"), this.status);
      return;
    }
    const view = this.state;
    this.pick.max = String(view.windows.length - 1);
    this.pick.value = this.pick.max;
    const id = fresh();
    this.pick.id = `${id}-window`;
    this.beside.id = `${id}-beside`;
    fill(this.beside, h("option", { value: "" }, "the rows it was fitted on"), ...view.windows.map((text, at) => h("option", { value: String(at) }, text)));
    this.buttons = view.columns.map((_, at) => this.button(view, at));
    fill(
      this.element,
      header(view),
      alerts(view.alerts),
      h("div", { class: "mlp-part", hidden: view.windows.length < 2 }, h("div", { class: "mlp-choices" },
        h("div", {}, h("label", { for: this.pick.id }, "Window ", this.here), this.pick),
        h("div", {}, h("label", { for: this.beside.id }, "Compared with"), this.beside)), this.axis),
      h("div", { class: "mlp-part mlp-two" }, columns(view, this.buttons), this.pane),
      ...view.notes.map((note) => h("p", { class: "mlp-part mlp-quiet" }, note)),
      this.status,
    );
    const first = view.columns.findIndex((one) => one.alarmed);
    if (view.columns.length) this.choose(Math.max(0, first));
  };

  look = (): void => {
    this.gone = lost(this.model, this.host);
    this.element.toggleAttribute("data-gone", this.gone);
    say(this.status, this.gone ? "The kernel is gone: what is here stays; run the cell again for more." : "");
  };

  soon = (): void => {
    this.heard = window.setTimeout(this.look);
  };

  /** The kernel, or another view of this card, chose a column. */
  follow = (): void => {
    const at = this.model.get("selected") ?? -1;
    if (!this.asked && at >= 0 && at !== this.column) this.choose(at);
  };

  hear = (content: unknown): void => {
    const answer = content as Answer;
    if (!answer || answer.id !== this.asked) return;
    this.asked = "";
    clearTimeout(this.slow);
    if (answer.detail) this.show(answer.detail);
    say(this.status, answer.error ? `${answer.error.what} ${answer.error.remedy}` : "");
  };

  stop(): void {
    clearTimeout(this.slow);
    clearTimeout(this.heard);
  }

  private button(view: State, at: number): HTMLElement {
    const button = h("button", { type: "button", class: "mlp-pick", "aria-pressed": "false" }, name(view.columns[at]?.name ?? ""));
    button.addEventListener("click", () => this.choose(at));
    return button;
  }

  private choose(at: number): void {
    this.column = at;
    this.buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === at)));
    this.ask();
  }

  private ask(): void {
    const view = this.state;
    if (!view) return;
    const window_ = Number(this.pick.value);
    say(this.here, view.windows[window_] ?? "");
    this.pick.setAttribute("aria-valuetext", view.windows[window_] ?? "");
    if (this.gone) return;
    this.asked = fresh();
    clearTimeout(this.slow);
    this.slow = window.setTimeout(() => say(this.status, "The kernel has not answered yet: it is busy with a cell, or it has stopped."), SLOW);
    const against = this.beside.value === "" ? null : Number(this.beside.value);
    try {
      this.model.send({ ask: "column", column: this.column, window: window_, against, id: this.asked });
    } catch {
      this.gone = true; // there is no connection to send on
      clearTimeout(this.slow);
      say(this.status, "The kernel is gone: it cannot be asked for details.");
    }
  }

  private show(detail: Detail): void {
    const far = `How far ${detail.name} lies from the rows it was fitted on, window by window`;
    fill(this.axis, h("p", { class: "mlp-quiet" }, far), course(detail, this.state?.windows ?? [], (at) => {
      this.pick.value = String(at);
      this.ask();
    }));
    const then = detail.against === null ? "fitted" : (this.state?.windows[detail.against] ?? "");
    fill(
      this.pane,
      h("strong", { role: "heading", "aria-level": "4" }, name(detail.name)),
      h("p", {}, detail.words),
      detail.cause && h("p", { class: "mlp-quiet" }, detail.cause),
      detail.bars.length > 0 && bars(detail.bars, then, this.state?.windows[detail.window] ?? "now"),
    );
  }
}

function header(view: State): HTMLElement {
  return h("div", { class: "mlp-head" }, h("div", { class: "mlp-title" },
    h("strong", { class: "mlp-name", role: "heading", "aria-level": "3" }, "Monitor ", name(view.place)),
    h("span", { class: `mlp-${view.standing.tone}` }, view.standing.words),
    h("span", { class: "mlp-quiet" }, `${view.about} · ${view.extent}`)));
}

function alerts(found: Alert[]): HTMLElement | null {
  if (!found.length) return null;
  const one = (alert: Alert) => h("li", { class: "mlp-alarm" },
    h("span", { class: "mlp-bad" }, `${alert.kind}: `, name(alert.subject), alert.since && ` since ${day(alert.since, true)}`),
    h("span", {}, alert.words),
    alert.segment && h("span", {}, `Where: ${alert.segment}`),
    alert.cause && h("span", {}, `Suspected: ${alert.cause}`),
    alert.examples.length > 0 && h("span", { class: "mlp-quiet" }, `Requests: ${alert.examples.join(", ")}`),
    alert.then && h("code", {}, alert.then));
  return h("div", { class: "mlp-part" }, h("ul", { "aria-label": "Alerts" }, ...found.map(one)));
}

function columns(view: State, buttons: HTMLElement[]): HTMLElement {
  const head = ["column", "drift", "effect"].map((text, at) => h("th", { scope: "col", class: at === 2 ? "mlp-number" : "" }, text));
  const rows = view.columns.map((one, at) => h("tr", {}, h("th", { scope: "row" }, buttons[at]),
    h("td", { class: one.alarmed ? "mlp-bad" : "" }, one.alarmed ? `${one.level}, alarm` : one.level), h("td", { class: "mlp-number" }, shown(one.effect))));
  return h("div", { class: "mlp-choose", tabindex: "0", role: "group", "aria-label": "Columns" },
    h("table", { "aria-label": "Columns" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}

/** How far a column was in each window; the range beside it does the same with keys. */
function course(detail: Detail, windows: string[], choose: (at: number) => void): SVGElement {
  const top = Math.max(0.05, ...detail.course.map((value) => value ?? 0));
  const step = WIDE / Math.max(1, detail.course.length);
  const strokes = detail.course.flatMap((value, at) => {
    if (value === null) return [];
    const high = Math.max(1.5, (value / top) * (HIGH - 6));
    const kind = ["mlp-course", detail.alarmed.includes(at) && "mlp-alarmed", at === detail.window && "mlp-here"].filter(Boolean).join(" ");
    const bar = svg("rect", { class: kind, x: round(at * step), y: round(HIGH - high), width: round(Math.max(1, step - 1)), height: round(high) });
    bar.append(svg("title", {}, document.createTextNode(`${windows[at] ?? ""}: ${shown(value)}`)));
    bar.addEventListener("click", () => choose(at));
    return [bar];
  });
  const words = `How far ${detail.name} lies from the rows the model was fitted on, in ${detail.course.length} windows; ${detail.alarmed.length} alarmed`;
  return svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": words }, svg("path", { class: "mlp-base", d: `M0 ${HIGH - 0.5}H${WIDE}` }), ...strokes);
}

function bars(found: Bar[], then: string, now: string): HTMLElement {
  const top = Math.max(0.01, ...found.flatMap((bar) => [bar.then, bar.now]));
  const drawn = (bar: Bar) => svg("svg", { viewBox: "0 0 100 12", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("rect", { class: "mlp-then", x: 0, y: 0, width: round((100 * bar.then) / top), height: 5 }),
    svg("rect", { class: "mlp-now", x: 0, y: 6, width: round((100 * bar.now) / top), height: 5 }));
  const cell = (value: number) => h("td", { class: "mlp-number" }, percent(value));
  const rows = found.map((bar) => h("tr", {}, h("th", { scope: "row" }, name(bar.label)), cell(bar.then), cell(bar.now), h("td", { class: "mlp-bar" }, drawn(bar))));
  const head = h("tr", {}, h("th", { scope: "col" }, "value"), h("th", { scope: "col", class: "mlp-number" }, then), h("th", { scope: "col", class: "mlp-number" }, now), h("th", { scope: "col" }, "both"));
  return h("table", { "aria-label": "Shares of the rows" }, h("thead", {}, head), h("tbody", {}, ...rows));
}

export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return mount(new Card(model, el), model, el, "selected");
}

export default { render };
