// The promotion card: anywidget's entry. The kernel holds the truth; this page shows it and asks.
//
// Nothing is promoted here. A press sends a request with the id of the click; the kernel checks all of
// it again, acts once, and answers with a new state that carries that id.

import { Action } from "./action";
import { Detail, History } from "./detail";
import { fill, fresh, h, say } from "./dom";
import { keepKeys, lost } from "./kernel";
import { Evidence } from "./evidence";
import { type Model, type Request, type View, readView } from "./model";
import { VersionList } from "./versions";
import { trans } from "./words";

const LOOKS: ReadonlySet<Request["do"]> = new Set(["select", "details"]); // change nothing, and may be overtaken
const WATCH = 20_000; // ms between two looks at whether the registry has changed elsewhere
const SETTLE = 120; // ms: running through the list with the arrow keys asks once, at the end
const SLOW = 8000; // ms without an answer, after which the card says what it waits for

class Card {
  readonly element: HTMLElement;
  private readonly title = h("div", { class: "mlp-title" });
  private readonly status = h("div", { class: "mlp-status", role: "status" });
  private readonly refresh = h("button", { type: "button", class: "mlp-icon", "aria-label": trans.__("Refresh"), title: trans.__("Refresh") }, "↻");
  private readonly versions = new VersionList((version) => this.choose(version));
  private readonly detail = new Detail();
  private readonly evidence = new Evidence(() => this.show());
  private readonly history = new History();
  private readonly action = new Action({
    promote: (alias, reason) => this.ask({ do: "promote", version: this.chosen, alias, reason }, trans.__("Promoting…")),
    rollBack: (alias, reason) => this.ask({ do: "roll_back", alias, reason }, trans.__("Rolling back…")),
    speak: (word, reason) => this.ask({ do: word, version: this.chosen, alias: this.alias(), reason }, trans.__("Writing it down…")),
  });
  private readonly pane: HTMLElement;
  private readonly body: HTMLElement;
  private chosen = "";
  private asked: { click: string; act: Request["do"]; words: string } | undefined;
  private settle = 0;
  private slow = 0;
  private heard = 0;
  private gone = false;
  private note = "";
  private watched = ""; // a look that the kernel has not answered
  private readonly watching = window.setInterval(() => this.watch(), WATCH);

  constructor(
    private readonly model: Model,
    private readonly host: HTMLElement,
  ) {
    this.pane = h("div", { class: "mlp-pane" }, ...this.detail.elements, this.evidence.gates.element, this.action.element);
    this.body = h("div", { class: "mlp-body" }, this.versions.element, this.pane);
    this.element = h(
      "div",
      { class: "mlops-magics-promote mlp", role: "group", "aria-label": trans.__("Promotion") },
      h("div", { class: "mlp-head" }, this.title, this.refresh),
      this.body,
      this.status,
      this.evidence.element,
      this.history.element,
    );
    keepKeys(this.element);
    this.refresh.addEventListener("click", () => this.idle() && this.ask({ do: "refresh", alias: this.alias() }, trans.__("Looking again…")));
    this.action.element.addEventListener("mlp-alias", () => this.look(trans.__("Looking at %1…", this.alias())));
  }

  /** The kernel sent a new state, or went away, or came back. */
  update = (): void => {
    const view = readView(this.model);
    this.gone = lost(this.model, this.host);
    if (view && this.asked && view.click === this.asked.click && !view.busy) {
      const { act } = this.asked;
      this.settled();
      if (view.message?.tone === "good" && !LOOKS.has(act)) this.action.clear();
    }
    if (view && view.click === this.watched) this.watched = "";
    if (view && !this.asked && !this.settle) this.chosen = view.selected;
    if (this.gone) this.settled();
    this.show();
  };

  /** A lost connection is told to each model in turn: look once all have heard. */
  soon = (): void => {
    this.heard = window.setTimeout(this.update);
  };

  stop(): void {
    clearTimeout(this.heard);
    clearTimeout(this.settle);
    clearTimeout(this.slow);
    clearInterval(this.watching);
  }

  /** See whether the registry has changed elsewhere; only where somebody may be looking, and nothing else is asked. */
  private watch(): void {
    const view = readView(this.model);
    const { top, bottom } = this.element.getBoundingClientRect();
    const seen = !document.hidden && bottom > 0 && top < window.innerHeight;
    if (!view || !seen || this.watched || this.settle || !this.idle()) return;
    this.watched = fresh();
    try {
      this.model.send({ do: "watch", version: view.selected, alias: this.alias(), click: this.watched });
    } catch {
      this.gone = true;
      this.show();
    }
  }

  /** An alias is being moved, on behalf of this page or another. */
  private acting(view: View | undefined): boolean {
    return view?.busy === true || (this.asked !== undefined && !LOOKS.has(this.asked.act));
  }

  private idle(): boolean {
    return !this.gone && !this.asked && !this.acting(readView(this.model));
  }

  private choose(version: string): void {
    // While the kernel promotes, a change of mind would show one version and promote another.
    if (this.acting(readView(this.model))) return;
    this.chosen = version;
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      this.settle = 0;
      this.look(trans.__("Looking at %1…", `v${version}`));
    }, SETTLE);
    this.show();
  }

  /** The alias in question. */
  private alias(): string {
    const view = readView(this.model);
    return view ? this.action.target(view) : "";
  }

  /** Gates, comparison and rollback are those of one version before one alias: ask for them together. */
  private look(words: string): void {
    this.ask({ do: "select", version: this.chosen, alias: this.alias() }, words);
    this.show();
  }

  private ask(request: Omit<Request, "click">, words: string): void {
    if (this.gone || (this.asked && !LOOKS.has(this.asked.act))) return;
    const click = fresh();
    this.asked = { click, act: request.do, words };
    clearTimeout(this.slow);
    this.slow = window.setTimeout(() => {
      this.note = this.slowly.what;
      this.show();
    }, SLOW);
    try {
      this.model.send({ ...request, click });
    } catch {
      this.gone = true; // there is no connection to send on
      this.settled();
    }
    this.show();
  }

  private settled(): void {
    clearTimeout(this.slow);
    this.asked = undefined;
    this.note = "";
  }

  private get slowly(): { what: string; remedy: string } {
    return this.model.slow ?? { what: trans.__("The kernel has not answered yet: it is busy with a cell, or it has stopped."), remedy: trans.__("If it has stopped, run the cell again.") };
  }

  private waiting(view: View): string {
    if (this.settle) return trans.__("Looking at %1…", `v${this.chosen}`);
    if (this.asked) return this.asked.words;
    return view.busy ? trans.__("The kernel is at work…") : "";
  }

  private show(): void {
    const view = readView(this.model);
    this.element.toggleAttribute("data-gone", this.gone);
    if (!view) {
      this.body.hidden = this.evidence.element.hidden = this.history.element.hidden = true;
      fill(this.title, h("span", { class: "mlp-quiet" }, this.gone ? trans.__("Promotion") : trans.__("Loading the versions…")));
      this.tell(undefined);
      return;
    }
    const waiting = this.waiting(view);
    const acting = this.acting(view);
    this.element.setAttribute("aria-busy", String(waiting !== ""));
    this.body.hidden = view.versions.length === 0;
    this.head(view);
    this.refresh.disabled = this.gone;
    this.versions.update(view, this.chosen, this.gone || acting);
    this.detail.update(view);
    this.action.update({ view, chosen: this.chosen, waiting, acting, gone: this.gone });
    this.history.update(view.history);
    this.evidence.update(view, this.gone);
    if (!waiting && !this.gone && this.evidence.wants(view)) {
      this.ask({ do: "details", version: view.selected, alias: view.to }, trans.__("Reading the evaluation…"));
    }
    this.tell(view);
  }

  private head(view: View): void {
    const alias = this.action.target(view);
    const holder = view.holders[alias];
    const words = JSON.stringify([view.model, view.versions.length, this.chosen, alias, holder]);
    if (this.title.dataset["words"] === words) return;
    this.title.dataset["words"] = words;
    const standing = !alias ? "" : holder ? trans.__("%1 is v%2 now", alias, holder) : trans.__("nothing holds %1 yet", alias);
    fill(
      this.title,
      h("strong", { class: "mlp-name", role: "heading", "aria-level": "3" }, view.model),
      this.chosen && holder !== this.chosen && h("span", { class: "mlp-move" }, `v${this.chosen} → ${alias}`),
      h("span", { class: "mlp-quiet" }, view.versions.length ? standing : trans.__("no versions yet")),
    );
  }

  private tell(view: View | undefined): void {
    const message = this.gone
      ? { tone: "bad", what: trans.__("The kernel is gone; run the cell again."), remedy: "" }
      : this.note
        ? { tone: "plain", ...this.slowly }
        : this.asked
          ? null // an old answer beside a new question misleads
          : (view?.message ?? (view && !view.versions.length ? nothing(view) : null));
    const words = message ? JSON.stringify([message.tone, message.what, message.remedy]) : "";
    if (this.status.dataset["words"] === words) return;
    this.status.dataset["words"] = words;
    this.status.className = `mlp-status mlp-tone-${message?.tone ?? "none"}`;
    if (!message) return say(this.status, "");
    fill(this.status, h("span", {}, message.what), message.remedy ? h("span", { class: "mlp-remedy" }, message.remedy) : null);
  }
}

function nothing(view: View): { tone: string; what: string; remedy: string } {
  return { tone: "plain", what: trans.__("%1 has no versions yet.", view.model), remedy: trans.__("Register one with %1.", "%mlops_register") };
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const card = new Card(model, el);
  el.append(card.element);
  card.update();
  const listeners: [event: string, listener: () => void][] = [
    ["change:state", card.update],
    ["change:versions", card.update],
    ["comm_live_update", card.soon],
    ["comm:close", card.soon],
  ];
  for (const [event, listener] of listeners) model.on(event, listener);
  return () => {
    for (const [event, listener] of listeners) model.off(event, listener);
    card.stop();
    card.element.remove();
  };
}

export default { render };
