// The section of endpoints: how each is, what comes to it, and stopping it.

import { fill, h } from "../cards/dom";
import { shown } from "../cards/shown";
import { copy } from "../cards/text";
import { Asking, ago, button, copied, type Host, lesson, none, renewed, type Section, Turns } from "./parts";
import { HERE, number, parted, trans } from "../cards/words";

interface Endpoint {
  name: string;
  url: string;
  model: string;
  version: string;
  status: string;
  workers: number;
  follows: string;
  remark: string;
  beside: string;
  started: number;
  traffic: { requests: number; seconds: number; refused: number; p99: number | null } | null;
}

const STATUS: Record<string, [mark: string, tone: string, word: () => string]> = {
  ready: ["●", "mlp-good", () => trans.__("ready")],
  starting: ["◐", "mlp-quiet", () => trans.__("starting")],
  stopping: ["◐", "mlp-quiet", () => trans.__("stopping")],
  failed: ["✗", "mlp-bad", () => trans.__("failed")],
  down: ["✗", "mlp-bad", () => trans.__("down")],
  elsewhere: ["○", "mlp-quiet", () => trans.__("on another machine")],
};

export class Endpoints implements Section {
  readonly element = h("div", { class: "mlp-endpoints" });
  readonly hint = trans.__("Search endpoints");
  private readonly made = new Map<string, { element: HTMLElement; signature: string }>();
  private readonly turns = new Turns();
  private wanted = { key: "", held: false }; // to be shown as soon as it is there

  constructor(private readonly host: Host) {}

  async refresh(search: string): Promise<void> {
    const last = this.turns.begin();
    const { endpoints } = await this.host.rest.read<{ endpoints: Endpoint[] }>("endpoints");
    if (!last()) return;
    const wanted = search.toLowerCase().split(/\s+/);
    const fitting = endpoints.filter((one) => wanted.every((word) => `${one.name} ${one.model} ${one.status}`.toLowerCase().includes(word)));
    if (!fitting.length) {
      this.made.clear();
      renewed(this.element, () => fill(this.element, endpoints.length ? none(endpoints.length) : this.nothing()));
      return;
    }
    const cards = fitting.map((one) => this.card(one));
    const moved = cards.some((card, at) => card !== this.element.children[at]) || cards.length !== this.element.childElementCount;
    if (moved) renewed(this.element, () => fill(this.element, ...cards));
    this.reach();
  }

  open(key: string, held: boolean): void {
    this.wanted = { key, held };
    this.reach();
  }

  private reach(): void {
    const card = this.made.get(this.wanted.key)?.element;
    if (!card?.isConnected) return;
    card.scrollIntoView({ block: "nearest" });
    if (this.wanted.held) card.querySelector("button")?.focus();
    this.wanted = { key: "", held: false };
  }

  private nothing(): HTMLElement {
    const what = trans.__("Nothing is live here yet. A model's champion becomes an endpoint, guarded by a token:");
    return lesson(this.host, what, ...this.host.lines(["promote", "deploy"], "%mlops_deploy MODEL@champion"));
  }

  /** The facts may change each few seconds; the buttons stay, with the focus and whatever they ask. */
  private card(one: Endpoint): HTMLElement {
    const facts = this.facts(one);
    const signature = facts.map((fact) => fact.outerHTML).join("");
    const known = this.made.get(one.name);
    if (known) {
      if (known.signature !== signature) {
        fill(known.element.firstElementChild ?? known.element, ...facts);
        known.signature = signature;
      }
      return known.element;
    }
    const element = h("section", { class: "mlp-endpoint", "aria-label": one.name }, h("div", {}, ...facts), this.acts(one));
    this.made.set(one.name, { element, signature });
    return element;
  }

  private facts(one: Endpoint): HTMLElement[] {
    const [sign, tone, word] = STATUS[one.status] ?? ["?", "mlp-quiet", () => one.status];
    const workers = trans._n("%1 process", "%1 processes", one.workers);
    return [
      h("div", { class: "mlp-row-name" }, h("strong", { role: "heading", "aria-level": "3" }, h("bdi", {}, one.name)), h("span", { class: tone }, `${sign} ${word()}`)),
      h("div", {}, trans.__("%1 version %2", one.model, one.version), h("span", { class: "mlp-quiet" }, one.follows ? " · " + trans.__("follows %1", one.follows) : "")),
      ...(one.traffic && one.status === "ready" ? [h("div", { class: "mlp-rate" }, rate(one.traffic))] : []),
      h("div", { class: "mlp-quiet" }, one.status === "ready" ? [workers, trans.__("started %1", ago(one.started * 1000))].join(" · ") : ""),
      ...(one.beside ? [h("div", {}, trans.__("Beside it: %1", one.beside))] : []),
      ...(one.remark ? [h("div", { class: "mlp-bad" }, one.remark)] : []),
    ];
  }

  private acts(one: Endpoint): HTMLElement {
    const question = [h("p", {}, ...parted(trans.__("Stop %1? What is under way is finished; whoever asks after that gets no answer.", HERE), h("strong", {}, one.name)))];
    const act = (): Promise<{ what: string; notes: string[] }> => this.host.rest.write("stop", { name: one.name });
    return h(
      "div",
      { class: "mlp-acts" },
      button(trans.__("Copy URL"), async () => this.host.tell("good", copied(await copy(`${one.url}/invocations`, this.element)))),
      button(trans.__("Predict"), async () => this.host.tell("good", await this.host.insert(`%mlops_predict ${one.name} DATA`)), "mlp-plain", { title: trans.__("Put the line that asks it into the notebook") }),
      button(trans.__("Monitor"), async () => this.host.tell("good", await this.host.insert(`%mlops_monitor ${one.name}`)), "mlp-plain", { title: trans.__("Put the line that shows what was asked, and whether it drifts, into the notebook") }),
      new Asking(this.host, trans.__("Stop…"), question, trans.__("Stop it"), act, trans.__("Stopping %1…", one.name)).element,
    );
  }
}

function rate({ requests, seconds, refused, p99 }: NonNullable<Endpoint["traffic"]>): string {
  if (!requests) return trans.__("no requests in 5 min");
  const few = requests < seconds / 5; // a rate of thousandths says nothing to anybody
  const words = [few ? trans._n("%1 request in 5 min", "%1 requests in 5 min", requests) : trans.__("%1 requests/s", shown(Number((requests / seconds).toPrecision(2))))];
  if (p99 !== null) words.push(trans.__("p99 %1 ms", shown(Number(p99.toPrecision(2)))));
  if (refused) words.push(trans.__("%1 refused", number(refused)));
  return words.join(" · ");
}
