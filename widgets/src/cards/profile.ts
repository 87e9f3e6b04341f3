// The profile card: anywidget's entry. The table's facts are here; a column's details are asked for.
//
// Data stay in the kernel. A question carries an id; an answer counts only while its question is the last.

import { ColumnPane } from "./column";
import { ColumnTable } from "./columns";
import { fill, fresh, h, say } from "./dom";
import { keepKeys, lost, mount } from "./kernel";
import { associations } from "./map";
import type { Answer, Detail, Model, Overview } from "./profile_model";
import { alertList, changes, firstRows, missing, segments } from "./sections";
import { Tabs } from "./tabs";
import { shown } from "./shown";
import { copier, name, percent, words } from "./text";

const SLOW = 8000; // ms without an answer, after which the card says what it waits for

class Card {
  readonly element = h("div", { class: "mlops-magics-profile mlp mlp-profile", role: "group", "aria-label": "Profile" });
  private readonly status = h("div", { class: "mlp-status", role: "status" });
  private readonly known = new Map<number, Detail>();
  private table: ColumnTable | undefined;
  private pane: ColumnPane | undefined;
  private tabs: Tabs | undefined;
  private asked: { id: string; column: number } | undefined;
  private open = -1;
  private slow = 0;
  private heard = 0;
  private gone = false;

  constructor(
    private readonly model: Model,
    private readonly host: HTMLElement,
  ) {
    keepKeys(this.element);
    this.build();
    this.look();
    this.follow();
  }

  /** The whole state came: at the start, and when the kernel profiles anew. */
  build = (): void => {
    const state = this.model.get("state");
    if (!state || !("columns" in state)) {
      fill(this.element, h("div", { class: "mlp-head mlp-quiet" }, "Loading the profile…"), this.status);
      return;
    }
    const view = state as Overview;
    this.known.clear();
    this.asked = undefined;
    this.open = -1;
    const tell = (text: string) => this.tell(text);
    const go = (column: number) => this.choose(column, true);
    this.table = new ColumnTable(view, (column) => this.choose(column, false));
    this.pane = new ColumnPane(view, go, tell);
    const count = (size: number) => (size ? size.toLocaleString("en-US") : "");
    const changed = view.changes.filter((one) => one.status !== "same").length;
    this.tabs = new Tabs([
      { key: "columns", title: "Columns", count: count(view.columns.length), make: () => h("div", {}, this.table?.element, this.pane?.element) },
      view.target && { key: "segments", title: "Segments", count: count(view.segments.length), make: () => segments(view, go, tell) },
      { key: "together", title: "Associations", count: "", make: () => associations(view, go) },
      { key: "missing", title: "Missing", count: count(view.patterns.columns.length + view.patterns.more), make: () => missing(view, go) },
      view.against !== null && { key: "changes", title: "Changes", count: count(changed), make: () => changes(view, go) },
      { key: "rows", title: "First rows", count: "", make: () => firstRows(view) },
    ]);
    const codes = view.code.map(([label, code]) => copier(code, label, tell, `Copy: ${label}`));
    const notes = view.notes.map((note) => h("p", { class: "mlp-quiet mlp-note" }, note));
    fill(this.element, header(view), alertList(view, go, tell), this.tabs.element, ...notes, codes.length > 0 && h("div", { class: "mlp-foot" }, ...codes), this.status);
  };

  /** The kernel went away or came back. */
  look = (): void => {
    this.gone = lost(this.model, this.host);
    this.element.toggleAttribute("data-gone", this.gone);
    if (this.gone) this.fail();
    this.tell(this.gone ? "The kernel is gone: what is here stays; run the cell again for more." : "");
  };

  /** A lost connection is told to each model in turn: look once all have heard. */
  soon = (): void => {
    this.heard = window.setTimeout(this.look);
  };

  /** The kernel, or another view of this card, chose a column. */
  follow = (): void => {
    const at = this.model.get("place") ?? -1;
    if (this.asked || at === this.open) return; // our own question is newer
    if (at >= 0 && this.table) this.choose(at, true);
  };

  /** An answer; one to an older question only enters what is known. */
  hear = (content: unknown): void => {
    const answer = content as Answer;
    if (!answer || typeof answer.id !== "string") return;
    if (answer.detail) this.known.set(answer.detail.position, answer.detail);
    if (answer.id !== this.asked?.id) return;
    this.settled();
    if (answer.detail && answer.detail.position === this.open) this.pane?.show(answer.detail);
    else if (answer.error) this.pane?.wait(this.open, answer.error.what);
    this.tell(answer.error ? `${answer.error.what} ${answer.error.remedy}` : "");
  };

  stop(): void {
    clearTimeout(this.heard);
    clearTimeout(this.slow);
  }

  private choose(column: number, reveal: boolean): void {
    if (!reveal && column === this.open) {
      this.open = -1;
      this.settled();
      this.table?.mark(-1);
      this.pane?.close();
      return;
    }
    this.open = column;
    this.table?.mark(column);
    if (reveal) {
      this.tabs?.show("columns");
      this.table?.reveal(column);
    }
    const detail = this.known.get(column);
    if (detail) {
      this.settled();
      this.pane?.show(detail);
    } else this.ask(column);
    if (reveal) this.pane?.element.scrollIntoView({ block: "nearest" });
  }

  private ask(column: number): void {
    clearTimeout(this.slow);
    const id = fresh();
    this.asked = { id, column };
    if (this.gone) return this.fail();
    this.pane?.wait(column, "Asking the kernel…");
    this.slow = window.setTimeout(() => this.tell("The kernel has not answered yet: it is busy with a cell, or it has stopped."), SLOW);
    try {
      this.model.send({ ask: "column", column, id });
    } catch {
      this.gone = true; // there is no connection to send on
      this.fail();
    }
  }

  private fail(): void {
    if (!this.asked) return;
    this.pane?.wait(this.asked.column, "The kernel is gone: it cannot be asked for details.");
    this.settled();
  }

  private settled(): void {
    clearTimeout(this.slow);
    this.asked = undefined;
  }

  private tell(text: string): void {
    say(this.status, text);
  }
}

function header(view: Overview): HTMLElement {
  return h(
    "div",
    { class: "mlp-head" },
    h(
      "div",
      { class: "mlp-title" },
      h("strong", { class: "mlp-name", role: "heading", "aria-level": "3" }, name(view.source)),
      h("span", { class: `mlp-standing mlp-${view.standing.tone}` }, view.standing.words),
      h("span", { class: "mlp-quiet mlp-extent" }, view.extent.join(" · "), ...aim(view)),
    ),
  );
}

function aim({ target }: Overview): (Node | string)[] {
  return target ? [" · ", ...words(target.words), ` ${target.rate ? percent(target.value) : shown(target.value)}`] : [];
}

export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return mount(new Card(model, el), model, el, "place");
}

export default { render };
