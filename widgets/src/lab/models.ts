// The section of models: each with its aliases; one opens to its promotion desk and to deploying it.

import promotion from "../cards/promote";
import { fill, h, say } from "../cards/dom";
import { name as nameOf } from "../cards/text";
import { ServerDesk } from "./desk";
import { type Item, List } from "./list";
import { Asking, button, chips, type Host, lesson, none, renewed, type Section, Turns } from "./parts";
import { HERE, number, parted, trans } from "../cards/words";

interface Model {
  name: string;
  aliases: Record<string, string>;
}

interface Page {
  models: Model[];
  count: number;
  total: number;
}

const ORDER = ["champion", "challenger", "candidate"];

export class Models implements Section {
  readonly element: HTMLElement;
  readonly hint = trans.__("Search models and aliases");
  private readonly count = h("div", { class: "mlp-quiet mlp-count" });
  private readonly list = new List(trans.__("Models"), (name) => this.host.show("models", name));
  private readonly more = button("", () => this.readMore(), "mlp-link", { hidden: "" });
  private readonly empty = h("div", {});
  private readonly overview = h("div", {}, this.count, this.list.element, this.more, this.empty);
  private readonly detail = h("div", { class: "mlp-detail", hidden: true });
  private models: Model[] = [];
  private page: Page | undefined;
  private opened = "";
  private search = "";
  private desk: { model: string; close: () => void } | undefined;
  private readonly turns = new Turns();

  constructor(private readonly host: Host) {
    this.element = h("div", {}, this.overview, this.detail);
  }

  async refresh(search: string): Promise<void> {
    const last = this.turns.begin();
    this.search = search;
    if (this.opened) return this.showModel(this.opened);
    const pages = Math.max(1, Math.ceil(this.models.length / 100));
    const read = await Promise.all(Array.from({ length: pages }, (_, at) => this.ask(at * 100)));
    if (!last()) return;
    this.page = read[0];
    this.models = read.flatMap((page) => page.models);
    this.show();
  }

  open(key: string, held: boolean): void {
    const back = this.opened;
    if (key !== back) this.close();
    this.opened = key;
    this.overview.hidden = key !== "";
    this.detail.hidden = key === "";
    if (key && key !== back) {
      const bar = this.bar(key);
      fill(this.detail, bar, h("p", { class: "mlp-quiet" }, trans.__("Reading the versions…")));
      if (held) bar.querySelector("button")?.focus();
    } else if (!key && back && held) this.list.focus(back);
  }

  leave(): void {
    this.models = [];
  }

  private close(): void {
    this.desk?.close();
    this.desk = undefined;
  }

  private ask(first: number): Promise<Page> {
    return this.host.rest.read<Page>("models", { filter: this.search, first });
  }

  private async readMore(): Promise<void> {
    const { search } = this;
    const page = await this.ask(this.models.length);
    if (search !== this.search) return; // they are of another list
    this.models = [...this.models, ...page.models];
    this.show();
    this.list.focus(page.models[0]?.name);
  }

  private show(): void {
    const page = this.page;
    if (!page) return;
    this.list.update(this.models.map(item));
    say(this.count, this.search && page.total ? trans._n("%2 of %3 model", "%2 of %3 models", page.total, number(page.count), number(page.total)) : "");
    const left = page.count - this.models.length;
    this.more.hidden = left <= 0;
    say(this.more, trans.__("Show more (%1 further down)", number(left)));
    renewed(this.empty, () => fill(this.empty, ...(this.models.length ? [] : [this.nothing(page.total)])));
  }

  private nothing(total: number): HTMLElement {
    if (total) return none(total);
    const what = trans.__("No models yet. A run that was evaluated becomes the first version of one:");
    return lesson(this.host, what, ...this.host.lines(["evaluate", "register"], "%mlops_evaluate run test --target COLUMN", "%mlops_register run NAME"));
  }

  private bar(name: string): HTMLElement {
    return h("div", { class: "mlp-bar" }, button("←", () => this.host.show("models"), "mlp-icon", { "aria-label": trans.__("Back to the models"), title: trans.__("Back to the models") }), h("span", { class: "mlp-quiet" }, trans.__("Models")), h("span", { class: "mlp-unseen" }, name));
  }

  /** The card looks after itself while it is open: only another model makes another one. */
  private async showModel(model: string): Promise<void> {
    if (this.desk?.model === model) return;
    const desk = new ServerDesk(this.host.rest, model, () => this.host.again());
    await desk.begin();
    if (this.opened !== model || this.desk?.model === model) return;
    this.close();
    const place = h("div", { class: "mlp-desk" });
    const acts = h("div", { class: "mlp-acts" });
    const show = (): void => this.acts(acts, model, desk);
    desk.on("change:state", show);
    const unmount = promotion.render({ model: desk, el: place });
    this.desk = { model, close: unmount };
    show();
    renewed(this.detail, () => fill(this.detail, this.bar(model), acts, place));
  }

  private acts(place: HTMLElement, model: string, desk: ServerDesk): void {
    const holders = desk.get("state")?.holders ?? {};
    const aliases = ORDER.filter((alias) => holders[alias]);
    const words = JSON.stringify(holders);
    if (place.dataset["shown"] === words || place.contains(document.activeElement)) return;
    place.dataset["shown"] = words;
    fill(place, ...aliases.filter((alias) => alias !== "candidate").map((alias) => this.deploying(model, alias)), aliases.includes("champion") ? null : h("p", { class: "mlp-quiet" }, trans.__("Promote a version to champion, then it can be deployed from here.")));
  }

  private deploying(model: string, alias: string): HTMLElement {
    const follow = h("input", { type: "checkbox" });
    const question = [
      h("p", {}, ...parted(trans.__("Serve %1 behind a token at an address of the machine that JupyterLab runs on?", HERE), h("strong", {}, `${model}@${alias}`))),
      h("label", { class: "mlp-check" }, follow, " " + trans.__("Follow %1: where it points to another version, that one takes over", alias)),
    ];
    const act = (): Promise<{ what: string; notes: string[] }> => this.host.rest.write("deploy", { model: `${model}@${alias}`, follow: follow.checked });
    return new Asking(this.host, trans.__("Deploy %1…", alias), question, trans.__("Deploy"), act, trans.__("Deploying %1: it is checked, loaded and tried…", `${model}@${alias}`)).element;
  }
}

function item({ name, aliases }: Model): Item {
  const held = [...ORDER.filter((alias) => alias in aliases), ...Object.keys(aliases).filter((alias) => !ORDER.includes(alias))];
  const words = held.map((alias) => `${alias} ${aliases[alias]}`);
  return {
    key: name,
    signature: words.join("\n"),
    make: () => [h("span", { class: "mlp-row-name" }, h("strong", {}, nameOf(name, 40))), h("span", { class: "mlp-row-name" }, ...(words.length ? chips(words) : [h("span", { class: "mlp-quiet" }, trans.__("no aliases"))]))],
  };
}

