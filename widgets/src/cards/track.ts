// The runs card: anywidget's entry. The runs stay in the kernel; the page asks for the rows that it shows.
//
// A question carries an id; an answer counts only while its question is the last of its kind.

import { blocks } from "./blocks";
import { close, closed, fill, fresh, h, say, unseen } from "./dom";
import { keepKeys, lost, mount } from "./kernel";
import { LinesPane } from "./lines";
import { Picker } from "./picker";
import { RunsTable } from "./runs";
import type { Answer, Block, Column, Lines, Model, Overview, Question, Rows, View } from "./runs_model";
import { plural } from "./shown";
import { copy, name } from "./text";

const SLOW = 8000; // ms without an answer, after which the card says what it waits for
const TYPING = 140; // ms without a key, after which the filter is asked for
const DRAWN = 4; // runs from which lines are worth their room

class Card {
  readonly element = h("div", { class: "mlops-magics-track mlp mlp-track", role: "group", "aria-label": "Runs" });
  private readonly status = h("div", { class: "mlp-status", role: "status" });
  private readonly count = h("span", { class: "mlp-quiet", role: "status" });
  private readonly filter = h("input", { type: "search", placeholder: "Filter: auc>0.8 model=forest", "aria-label": "Filter runs", autocomplete: "off", spellcheck: "false" });
  private readonly wrong = h("p", { class: "mlp-wrong", id: fresh(), role: "alert" });
  private readonly compare = h("button", { type: "button", class: "mlp-press" }, "Compare");
  private readonly ids = h("button", { type: "button", class: "mlp-press" }, "Copy id");
  private readonly code = h("button", { type: "button", class: "mlp-press" }, "Copy as code");
  private readonly toggle = h("button", { type: "button", class: "mlp-press", "aria-expanded": "false" }, "Parallel coordinates");
  private readonly more = h("button", { type: "button", class: "mlp-link" }, "Read more runs");
  private readonly drawing = h("div", { class: "mlp-part" });
  private readonly difference = h("div", { class: "mlp-part mlp-difference", role: "group", "aria-label": "Two runs compared", tabindex: "-1" });
  private table: RunsTable | undefined;
  private lines: LinesPane | undefined;
  private view: View = { filter: "", brush: "", sort: "started", up: false, columns: [] };
  private colour: string | null = null;
  private selected: string[] = [];
  private line = "";
  private pair = "";
  private asked = new Map<Question["ask"], string>();
  private pages = new Map<string, number>();
  private slow = 0;
  private typing = 0;
  private heard = 0;
  private gone = false;
  private stale = false; // whether the lines are of another filter or other columns than the rows
  private experiment = "";

  constructor(
    private readonly model: Model,
    private readonly host: HTMLElement,
  ) {
    keepKeys(this.element);
    this.wire();
    this.build();
    this.look();
  }

  /** The whole state came: at the start, and when the kernel has read the store anew. */
  build = (): void => {
    const state = this.model.get("state");
    if (!state || !("columns" in state)) {
      fill(this.element, h("div", { class: "mlp-head mlp-quiet" }, "Loading the runs…"), this.status);
      return;
    }
    const first = state as Overview;
    const again = this.table !== undefined && this.experiment === first.experiment;
    const columns = new Map<string, Column>(first.columns.map((column) => [column.key, column]));
    this.experiment = first.experiment;
    if (!again) this.view = { ...first.view, brush: "" };
    this.view.columns = this.view.columns.filter((key) => columns.has(key));
    this.filter.value = this.view.filter;
    this.asked.clear();
    this.pages.clear();
    this.table = new RunsTable(columns, {
      sort: (key, up) => this.lookAt({ sort: key, up }),
      page: (page) => this.page(page),
      select: (run) => this.select(run),
    });
    this.lines?.stop();
    this.lines = new LinesPane(columns, {
      brush: (brush) => brush !== this.view.brush && this.lookAt({ brush }),
      colour: (key) => {
        this.colour = key;
        this.draw();
      },
      select: (run) => this.select(run),
    });
    this.view.brush = "";
    fill(this.drawing, this.lines.element);
    this.selected = this.model.get("selected") ?? [];
    const picker = new Picker(first.columns, this.view.columns, (keys) => this.lookAt({ columns: keys }, true));
    fill(this.element, this.header(first), this.tools(picker.element), this.wrong, this.drawing, this.table.element, this.difference, this.status);
    if (again) this.lookAt({}, true);
    else {
      this.show(first.answer);
      this.open(first.answer.count >= DRAWN && this.view.columns.length > 1);
    }
    this.mark();
  };

  /** The kernel went away or came back. */
  look = (): void => {
    this.gone = lost(this.model, this.host);
    this.element.toggleAttribute("data-gone", this.gone);
    this.tell(this.gone ? "The kernel is gone: what is here stays; run the cell again for more." : "");
  };

  /** A lost connection is told to each model in turn: look once all have heard. */
  soon = (): void => {
    this.heard = window.setTimeout(this.look);
  };

  /** The kernel, or another view of this card, selected runs. */
  follow = (): void => {
    this.selected = this.model.get("selected") ?? [];
    this.mark();
  };

  /** An answer; one to an older question only fills a page of rows that is still shown. */
  hear = (content: unknown): void => {
    const answer = content as Answer;
    if (!answer || typeof answer.id !== "string") return;
    const page = this.pages.get(answer.id);
    this.pages.delete(answer.id);
    const kind = [...this.asked].find(([, id]) => id === answer.id)?.[0];
    if (kind) this.asked.delete(kind);
    if (!kind && page === undefined) return;
    if (!this.asked.size) clearTimeout(this.slow);
    if (answer.error) return this.failed(kind, answer.error);
    if (answer.rows && page !== undefined) this.table?.add(answer.rows);
    else if (answer.rows) this.show(answer.rows);
    else if (answer.lines) this.picture(answer.lines);
    else if (answer.comparison) this.compared(answer.comparison);
    else if (answer.code !== undefined) this.pair = answer.code;
    if (kind !== "select") this.tell("");
  };

  stop(): void {
    for (const timer of [this.heard, this.slow, this.typing]) clearTimeout(timer);
    this.lines?.stop();
  }

  private wire(): void {
    this.filter.setAttribute("aria-describedby", this.wrong.id);
    this.filter.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = window.setTimeout(() => this.refilter(), TYPING);
    });
    this.filter.addEventListener("keydown", (event) => event.key === "Enter" && this.refilter());
    this.toggle.addEventListener("click", () => this.open(this.toggle.getAttribute("aria-expanded") !== "true"));
    this.compare.addEventListener("click", () => {
      if (closed(this.compare)) return this.tell("Select two runs in the table, then compare them.");
      this.ask({ ask: "compare", runs: this.selected });
    });
    this.ids.addEventListener("click", () => {
      if (closed(this.ids)) return this.tell("Select a run in the table, then copy its id.");
      this.copied(this.selected.join(" "), this.ids, plural(this.selected.length, "run id"));
    });
    this.code.addEventListener("click", () => this.copied(this.selected.length === 2 && this.pair ? this.pair : this.line, this.code, ""));
    this.more.addEventListener("click", () => this.ask({ ask: "more" }));
    this.difference.hidden = this.more.hidden = true;
  }

  private header(first: Overview): HTMLElement {
    const again = h("button", { type: "button", class: "mlp-icon", title: "Read the store again", "aria-label": "Read the store again" }, "⟳");
    again.addEventListener("click", () => this.ask({ ask: "refresh" }));
    const waiting = first.waiting ? h("span", { class: "mlp-medium" }, `${plural(first.waiting, "run")} on this machine wait for the store`) : null;
    return h("div", { class: "mlp-head" }, h("div", { class: "mlp-title" }, h("strong", { class: "mlp-name", role: "heading", "aria-level": "3" }, "Runs of ", name(first.experiment)), this.count, this.more, waiting), again);
  }

  private tools(picker: HTMLElement): HTMLElement {
    const line = (code: string, words: string) => h("li", {}, h("code", {}, code), ` ${words}`);
    const help = h(
      "details",
      { class: "mlp-picker" },
      h("summary", { class: "mlp-press", title: "How to filter" }, "?", unseen(" How to filter")),
      h(
        "ul",
        { class: "mlp-choices" },
        line("forest", "a word of the run's name"),
        line("auc>0.8", "a metric or a number; also < >= <= = !="),
        line("model=forest,linear", "any of these values"),
        line("status=failed", "finished, failed, killed, running"),
        line("duration>5m", "seconds, or ms, s, m, h, d"),
        line("alias=champion registered=yes", "what was registered of a run"),
        line('params.auc="a b"', "a prefix where two share a name, quotes around spaces"),
        h("li", {}, "Terms with spaces between them must all fit."),
      ),
    );
    return h("div", { class: "mlp-tools" }, this.filter, help, picker, this.toggle, h("span", { class: "mlp-gap-between" }), this.compare, this.ids, this.code);
  }

  private refilter(): void {
    clearTimeout(this.typing);
    if (this.filter.value !== this.view.filter) this.lookAt({ filter: this.filter.value }, true);
  }

  /** Look at something else; what is shown stays until the answer is here. */
  private lookAt(change: Partial<View>, redraw = false): void {
    this.view = { ...this.view, ...change };
    this.pages.clear();
    this.table?.wait(true);
    this.stale ||= redraw;
    this.ask({ ask: "rows", first: 0, ...this.view });
  }

  private page(first: number): void {
    if ([...this.pages.values()].includes(first) || this.asked.has("rows")) return;
    const id = this.send({ ask: "rows", first, ...this.view });
    if (id) this.pages.set(id, first);
  }

  private draw(): void {
    this.stale = false;
    if (this.toggle.getAttribute("aria-expanded") === "true") this.ask({ ask: "lines", colour: this.colour, ...this.view });
  }

  private open(on: boolean): void {
    this.toggle.setAttribute("aria-expanded", String(on));
    this.drawing.hidden = !on;
    if (on) this.draw();
    else if (this.view.brush) this.lines?.clear();
  }

  private show(answer: Rows): void {
    this.line = answer.code;
    say(this.wrong, "");
    this.filter.removeAttribute("aria-invalid");
    const all = plural(answer.total, "run");
    const held = answer.more ? `the newest ${all}` : all;
    say(this.count, answer.count === answer.total ? held : `${answer.count.toLocaleString("en-US")} of ${held}`);
    this.more.hidden = !answer.more;
    this.table?.show(answer, this.view);
    this.table?.mark(this.selected);
    if (this.stale) this.draw(); // only now: the kernel does one thing after the other, and the rows come first
  }

  private picture(lines: Lines): void {
    this.colour = lines.colour;
    this.lines?.show(lines);
    this.lines?.mark(this.selected);
  }

  private select(run: string): void {
    const others = this.selected.filter((one) => one !== run);
    // Of three the one that was selected first is let go.
    this.selected = others.length < this.selected.length ? others : [...others, run].slice(-2);
    this.mark();
    this.ask({ ask: "select", runs: this.selected });
  }

  private mark(): void {
    this.table?.mark(this.selected);
    this.lines?.mark(this.selected);
    this.pair = "";
    close(this.compare, this.selected.length !== 2);
    close(this.ids, !this.selected.length);
    say(this.compare, this.selected.length ? `Compare (${this.selected.length} of 2)` : "Compare");
  }

  private compared(parts: Block[]): void {
    const shut = h("button", { type: "button", class: "mlp-icon", title: "Close", "aria-label": "Close the comparison" }, "✕");
    shut.addEventListener("click", () => {
      this.difference.hidden = true;
      this.compare.focus();
    });
    fill(this.difference, shut, ...blocks(parts));
    this.difference.hidden = false;
    this.difference.focus({ preventScroll: true });
    this.difference.scrollIntoView({ block: "nearest" });
  }

  private failed(kind: Question["ask"] | undefined, error: { what: string; remedy: string }): void {
    const words = `${error.what} ${error.remedy}`;
    this.table?.wait(false);
    if (kind === "lines") return; // the rows say the same
    if (kind !== "rows") return this.tell(words);
    say(this.wrong, words);
    this.filter.setAttribute("aria-invalid", "true");
  }

  private ask(question: Question): void {
    const id = this.send(question);
    if (!id) return this.table?.wait(false);
    this.asked.set(question.ask, id);
    clearTimeout(this.slow);
    this.slow = window.setTimeout(() => this.tell("The kernel has not answered yet: it is busy with a cell, or it has stopped."), SLOW);
  }

  private send(question: Question): string | null {
    const id = fresh();
    try {
      if (this.gone) throw new Error("gone");
      this.model.send({ ...question, id });
      return id;
    } catch {
      this.gone = true; // there is no connection to send on
      this.tell("The kernel is gone: what is here stays; run the cell again for more.");
      return null;
    }
  }

  private copied(text: string, beside: HTMLElement, what: string): void {
    void copy(text, beside).then((done) => this.tell(done ? `Copied ${what || text}` : `The browser did not allow copying: ${text}`));
  }

  private tell(text: string): void {
    say(this.status, text);
  }
}

export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return mount(new Card(model, el), model, el, "selected");
}

export default { render };
