// The section of endpoints: how each is, what comes to it, and stopping it.

import { fill, h } from "../cards/dom";
import { shown } from "../cards/shown";
import { copy } from "../cards/text";
import { Asking, ago, button, type Host, lesson, type Section } from "./parts";

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

const STATUS: Record<string, [mark: string, tone: string, word: string]> = {
  ready: ["●", "mlp-good", "ready"],
  starting: ["◐", "mlp-quiet", "starting"],
  stopping: ["◐", "mlp-quiet", "stopping"],
  failed: ["✗", "mlp-bad", "failed"],
  down: ["✗", "mlp-bad", "down"],
  elsewhere: ["○", "mlp-quiet", "on another machine"],
};

export class Endpoints implements Section {
  readonly element = h("div", { class: "mlp-endpoints" });
  readonly hint = "Search endpoints";
  private readonly made = new Map<string, { element: HTMLElement; signature: string }>();

  constructor(private readonly host: Host) {}

  async refresh(search: string): Promise<void> {
    const { endpoints } = await this.host.rest.read<{ endpoints: Endpoint[] }>("endpoints");
    const wanted = search.toLowerCase().split(/\s+/);
    const fitting = endpoints.filter((one) => wanted.every((word) => `${one.name} ${one.model} ${one.status}`.toLowerCase().includes(word)));
    if (!fitting.length) {
      this.made.clear();
      return fill(this.element, endpoints.length ? h("p", { class: "mlp-quiet mlp-none" }, `None of ${endpoints.length} fits.`) : this.nothing());
    }
    const cards = fitting.map((one) => this.card(one));
    if (cards.some((card, at) => card !== this.element.children[at]) || cards.length !== this.element.childElementCount) fill(this.element, ...cards);
  }

  open(key: string): void {
    const card = this.made.get(key)?.element;
    card?.scrollIntoView({ block: "nearest" });
    card?.querySelector("button")?.focus();
  }

  private nothing(): HTMLElement {
    return lesson(this.host, "Nothing is live here yet. A model's champion becomes an endpoint, guarded by a token, with one line:", "%mlops_deploy MODEL@champion");
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
    const [sign, tone, word] = STATUS[one.status] ?? ["?", "mlp-quiet", one.status];
    const workers = one.workers === 1 ? "1 process" : `${one.workers} processes`;
    return [
      h("div", { class: "mlp-row-name" }, h("strong", { role: "heading", "aria-level": "3" }, h("bdi", {}, one.name)), h("span", { class: tone }, `${sign} ${word}`)),
      h("div", {}, `${one.model} version ${one.version}`, h("span", { class: "mlp-quiet" }, one.follows ? ` · follows ${one.follows}` : "")),
      ...(one.traffic && one.status === "ready" ? [h("div", { class: "mlp-rate" }, rate(one.traffic))] : []),
      h("div", { class: "mlp-quiet" }, one.status === "ready" ? `${workers} · since ${ago(one.started * 1000)}` : ""),
      ...(one.beside ? [h("div", {}, `Beside it: ${one.beside}`)] : []),
      ...(one.remark ? [h("div", { class: "mlp-bad" }, one.remark)] : []),
    ];
  }

  private acts(one: Endpoint): HTMLElement {
    const question = [h("p", {}, "Stop ", h("strong", {}, one.name), "? What is under way is finished; whoever asks after that gets no answer.")];
    const act = (): Promise<{ what: string; notes: string[] }> => this.host.rest.write("stop", { name: one.name });
    return h(
      "div",
      { class: "mlp-acts" },
      button("Copy URL", async () => this.host.tell("good", (await copy(`${one.url}/invocations`, this.element)) ? "Copied." : "The browser did not allow copying.")),
      button("Predict", async () => this.host.tell("good", await this.host.insert(`%mlops_predict ${one.name} DATA`)), "mlp-plain", { title: "Put the line that asks it into the notebook" }),
      new Asking(this.host, "Stop…", question, "Stop it", act, `Stopping ${one.name}…`).element,
    );
  }
}

function rate({ requests, seconds, refused, p99 }: NonNullable<Endpoint["traffic"]>): string {
  if (!requests) return "no requests in 5 min";
  const words = [`${shown(Number((requests / seconds).toPrecision(2)))} requests/s`];
  if (p99 !== null) words.push(`p99 ${shown(Number(p99.toPrecision(2)))} ms`);
  if (refused) words.push(`${refused.toLocaleString("en-US")} refused`);
  return words.join(" · ");
}
