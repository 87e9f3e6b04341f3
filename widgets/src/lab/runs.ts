// The section of runs: an experiment's runs, filtered and ordered by the server; a run opens to what is known of it.

import { fill, fresh, h, say } from "../cards/dom";
import { shown } from "../cards/shown";
import { copy, cut, name as nameOf } from "../cards/text";
import { type Item, List } from "./list";
import { ago, button, chips, copied, type Host, length, lesson, mark, none, renewed, type Section, Turns } from "./parts";
import { number, trans } from "../cards/words";

type Row = [id: string, name: string, status: string, started: number, duration: number | null, versions: [string, string, string[]][], values: (number | string | null)[]];

interface Page {
  experiment: string | null;
  metrics: { name: string; better: boolean | null }[];
  columns: string[];
  rows: Row[];
  count: number;
  total: number;
  more?: boolean;
}

interface Run {
  id: string;
  name: string;
  experiment: string;
  status: string;
  started: number;
  ended: number | null;
  notebook: string | null;
  params: [string, string][];
  metrics: [string, number][];
  versions: { model: string; version: string; aliases: string[] }[];
}

const NEWEST = "started";

export class Runs implements Section {
  readonly element: HTMLElement;
  readonly hint = trans.__("Search runs: %1", "forest auc>0.8");
  private readonly id = fresh();
  private readonly experiment = h("select", { id: `${this.id}-experiment`, "aria-label": trans.__("Experiment") });
  private readonly sort = h("select", { id: `${this.id}-sort`, "aria-label": trans.__("Order") });
  private readonly controls = h("div", { class: "mlp-controls" }, this.experiment, this.sort);
  private readonly count = h("div", { class: "mlp-quiet mlp-count" });
  private readonly list = new List(trans.__("Runs"), (id) => this.host.show("runs", id));
  private readonly more = button("", () => this.readMore(), "mlp-link", { hidden: "" });
  private readonly empty = h("div", {});
  private readonly overview = h("div", {}, this.controls, this.count, this.list.element, this.more, this.empty);
  private readonly detail = h("div", { class: "mlp-detail", hidden: true });
  private chosen = "";
  private opened = "";
  private search = "";
  private rows: Row[] = [];
  private page: Page | undefined;
  private readonly turns = new Turns();

  constructor(private readonly host: Host) {
    this.element = h("div", {}, this.overview, this.detail);
    this.experiment.addEventListener("change", () => {
      this.leave();
      this.chosen = this.experiment.value;
      this.host.again();
    });
    this.sort.addEventListener("change", () => this.host.again());
  }

  async refresh(search: string): Promise<void> {
    const last = this.turns.begin();
    this.search = search;
    if (this.opened) return this.showRun(this.opened);
    const kept = Math.max(1, Math.ceil(this.rows.length / 100));
    const [known, first] = await Promise.all([
      this.host.rest.read<{ active: string | null; experiments: { name: string; runs: number | null }[] }>("experiments"),
      this.ask(0),
    ]);
    if (!last()) return;
    if (this.chosen && !known.experiments.some(({ name }) => name === this.chosen)) {
      this.leave(); // it was deleted, or renamed
      return this.refresh(search);
    }
    // What was read further down is read again, so that a live list does not become shorter.
    const rest = await Promise.all(first.experiment === this.page?.experiment ? Array.from({ length: kept - 1 }, (_, at) => this.ask((at + 1) * 100)) : []);
    if (!last()) return;
    this.page = first;
    this.rows = [first, ...rest].flatMap((page) => page.rows);
    this.offer(known.experiments, first);
    this.show();
  }

  open(key: string, held: boolean): void {
    const back = this.opened;
    this.opened = key;
    this.overview.hidden = key !== "";
    this.detail.hidden = key === "";
    if (key && key !== back) {
      delete this.detail.dataset["shown"];
      const bar = this.bar();
      fill(this.detail, bar, h("p", { class: "mlp-quiet" }, trans.__("Reading the run…")));
      if (held) bar.querySelector("button")?.focus(); // a key that is pressed meanwhile has its place
    } else if (!key && back && held) this.list.focus(back);
  }

  leave(): void {
    this.chosen = "";
    this.rows = [];
    fill(this.sort);
    delete this.sort.dataset["shown"];
  }

  private bar(...name: HTMLElement[]): HTMLElement {
    const back = trans.__("Back to the runs");
    return h("div", { class: "mlp-bar" }, button("←", () => this.host.show("runs"), "mlp-icon", { "aria-label": back, title: back }), ...name);
  }

  private ask(first: number): Promise<Page> {
    const order = this.sort.value || NEWEST;
    const up = order.startsWith("-");
    return this.host.rest.read<Page>("runs", { experiment: this.chosen, filter: this.search, sort: order.replace(/^-/, ""), up, first });
  }

  private async readMore(): Promise<void> {
    const question = this.question();
    const page = await this.ask(this.rows.length);
    if (question !== this.question()) return; // they are of another list
    this.rows = [...this.rows, ...page.rows];
    this.show();
    this.list.focus(page.rows[0]?.[0]);
  }

  private question(): string {
    return JSON.stringify([this.chosen, this.search, this.sort.value]);
  }

  private offer(experiments: { name: string; runs: number | null }[], page: Page): void {
    const options = experiments.map(({ name, runs }) => option(name, runs === null ? name : `${name} (${number(runs)})`, name === page.experiment));
    replace(this.experiment, options);
    const order = this.sort.value || NEWEST;
    // The end at which the best are is where the order begins; where that is not known, the most come first.
    const orders = page.metrics.map(({ name, better }) => (better === false ? `-metrics.${name}` : `metrics.${name}`));
    replace(this.sort, [option(NEWEST, trans.__("newest"), order === NEWEST), ...orders.map((one) => option(one, trans.__("best %1", one.replace(/^-?metrics\./, "")), one === order))]);
    this.controls.hidden = !experiments.length;
  }

  private show(): void {
    const page = this.page;
    if (!page) return;
    const sorted = this.sort.value.includes("metrics.");
    this.list.update(this.rows.map((row) => item(row, page.columns, sorted)));
    say(this.count, this.search && page.total ? trans._n("%2 of %3 run", "%2 of %3 runs", page.total, number(page.count), number(page.total)) : "");
    const left = page.count - this.rows.length;
    this.more.hidden = left <= 0;
    say(this.more, trans.__("Show more (%1 further down)", number(left)));
    renewed(this.empty, () => fill(this.empty, ...(this.rows.length ? [] : [this.nothing(page)])));
  }

  private nothing(page: Page): HTMLElement {
    if (page.total) return none(page.total);
    if (page.experiment && page.experiment !== "Default") {
      return lesson(this.host, trans.__("%1 has no runs yet. A cell that fits a model becomes one; this line at its top gives it a name:", page.experiment), "%%mlops_track --name baseline -o run");
    }
    const [track = "%mlops_track NAME"] = this.host.lines(["track"]);
    const what = trans.__("No runs yet. These lines, each in a cell of a notebook, bring the commands and choose an experiment, any name for what you work on; from there each cell that fits a model is kept as a run in it:");
    const made = lesson(this.host, what, "%load_ext mlops_magics", track);
    made.append(h("p", {}, trans.__("Or begin with a notebook that has all steps, and put your own table and model into it:")), button(trans.__("New tracked notebook"), () => this.host.newNotebook()));
    return made;
  }

  private async showRun(id: string): Promise<void> {
    const run = await this.host.rest.read<Run>("run", { id });
    if (this.opened !== id) return;
    const text = JSON.stringify(run);
    if (this.detail.dataset["shown"] === text) return;
    this.detail.dataset["shown"] = text;
    renewed(this.detail, () => fill(this.detail, ...this.contents(run)));
  }

  private contents(run: Run): HTMLElement[] {
    const [sign, tone, word] = mark(run.status);
    const took = run.ended === null ? "" : ", " + trans.__("took %1", length(run.ended - run.started));
    const versions = run.versions.map(({ model, version, aliases }) => button([`${model}/${version}`, ...aliases].join(" "), () => this.host.show("models", model), "mlp-link"));
    return [
      this.bar(h("strong", { class: "mlp-name", role: "heading", "aria-level": "3" }, nameOf(run.name))),
      h("p", {}, h("span", { class: tone }, `${sign} ${word}`), h("span", { class: "mlp-quiet" }, ` · ${ago(run.started)}${took} · ${run.experiment}`)),
      h("div", { class: "mlp-acts" }, ...this.acts(run)),
      versions.length ? h("p", {}, h("span", { class: "mlp-quiet" }, trans.__("Registered as") + " "), ...versions) : h("p", { class: "mlp-quiet" }, trans.__("Not registered.")),
      ...pairs(trans.__("Metrics"), run.metrics.map(([key, value]) => [key, shown(value)]), trans.__("No metrics."), true),
      ...pairs(trans.__("Parameters"), run.params, trans.__("No parameters."), run.params.length <= 12),
    ];
  }

  private acts(run: Run): HTMLElement[] {
    const put = (label: string, code: string): HTMLElement => button(label, async () => this.host.tell("good", await this.host.insert(code)), "mlp-plain", { title: trans.__("Put %1 into the notebook", code) });
    const name = /^[\w.-]+$/.test(run.name) ? run.name : run.id; // a line splits at blanks
    return [
      ...(run.notebook ? [button(trans.__("Open notebook"), () => this.host.openNotebook(run.notebook ?? ""))] : []),
      ...(run.status === "FINISHED" ? [put(trans.__("Evaluate"), `%mlops_evaluate ${name} DATA --target COLUMN`), put(trans.__("Register"), `%mlops_register ${name} MODEL`)] : []),
      button(trans.__("Copy id"), async () => this.host.tell("good", copied(await copy(run.id, this.detail)))),
    ];
  }
}

function pairs(title: string, rows: [string, string][], none: string, open: boolean): HTMLElement[] {
  if (!rows.length) return [h("p", { class: "mlp-quiet" }, none)];
  const list = h("dl", { class: "mlp-pairs" }, ...rows.flatMap(([key, value]) => [h("dt", {}, broken(key)), h("dd", {}, nameOf(value, 80))]));
  return [h("details", { open }, h("summary", {}, `${title} (${rows.length})`), list)];
}

/** A long name breaks where its words do. */
function broken(key: string): HTMLElement {
  return h("bdi", { title: key }, ...cut(key, 80).split(/(?<=[_./-])/).flatMap((part) => [part, h("wbr")]));
}

/** One metric has room: that of the order, else the first that the run has. */
function item(row: Row, columns: string[], sorted: boolean): Item {
  const [id, name, status, started, , versions, values] = row;
  const at = sorted ? 0 : Math.max(0, values.findIndex((value) => value !== null));
  const value = values[at] ?? null;
  const measured = value === null ? "" : `${columns[at]} ${shown(value)}`;
  const aliases = versions.flatMap(([, , held]) => held);
  const when = ago(started);
  return {
    key: id,
    signature: JSON.stringify([name, status, when, versions, measured]),
    make: () => {
      const [sign, tone, word] = mark(status);
      return [
        h("span", { class: "mlp-row-name" }, h("span", { class: `mlp-mark ${tone}`, role: "img", "aria-label": word }, sign), h("strong", {}, nameOf(name, 40)), ...chips(aliases)),
        h("span", { class: "mlp-row-facts" }, h("span", {}, measured), h("span", { class: "mlp-quiet" }, when)),
      ];
    },
  };
}

function option(value: string, label: string, selected: boolean): HTMLOptionElement {
  return h("option", { value, selected }, label);
}

/** An open select would close if its options were made anew: only what changed is. */
function replace(select: HTMLSelectElement, options: HTMLOptionElement[]): void {
  const text = options.map((one) => `${one.value}\n${one.label}\n${one.selected}`).join("\n");
  if (select.dataset["shown"] === text) return;
  select.dataset["shown"] = text;
  fill(select, ...options);
}
