// The list of versions: a listbox with one tab stop, arrow keys, and a filter once the list is long.

import { fill, fresh, h, say } from "./dom";
import type { Version, View } from "./model";
import { day, shown } from "./shown";
import { trans } from "./words";

const SHOWN = 60; // rows built at first: 500 would cost the page more than anyone reads
const FILTER_FROM = 8;

interface Row {
  element: HTMLElement;
  signature: string;
}

export class VersionList {
  readonly element: HTMLElement;
  private readonly filter = h("input", {
    class: "mlp-filter",
    type: "search",
    placeholder: trans.__("Filter"),
    "aria-label": trans.__("Filter versions by number, alias, run or format"),
    autocomplete: "off",
    spellcheck: "false",
  });
  private readonly list = h("div", { class: "mlp-list", role: "listbox", "aria-label": trans.__("Versions") });
  private readonly more = h("button", { class: "mlp-link", type: "button" });
  private readonly rows = new Map<string, Row>();
  private readonly id = fresh();
  private view: View | undefined;
  private chosen = "";
  private limit = SHOWN;
  private order: string[] = [];
  private closed = false;

  constructor(private readonly onChoose: (version: string) => void) {
    this.element = h("div", { class: "mlp-versions" }, this.filter, this.list, this.more);
    this.filter.addEventListener("input", () => {
      this.limit = SHOWN;
      this.show();
    });
    this.filter.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.stop(event, () => this.focus(this.stopFor()));
    });
    this.more.addEventListener("click", () => {
      const first = this.order[this.limit - 1] ?? "";
      this.limit += 200;
      this.show();
      this.focus(this.order[this.order.indexOf(first) + 1] ?? first);
    });
    this.list.addEventListener("click", (event) => {
      const row = (event.target as Element).closest<HTMLElement>("[data-version]");
      if (row) this.choose(row.dataset["version"] ?? "");
    });
    this.list.addEventListener("keydown", (event) => this.steer(event));
  }

  update(view: View, chosen: string, closed: boolean): void {
    const known = this.view?.versions === view.versions && this.view.compare[0]?.metric === view.compare[0]?.metric;
    const same = known && this.chosen === chosen && this.closed === closed;
    this.view = view;
    this.chosen = chosen;
    this.closed = closed;
    if (!same) this.show();
  }

  private show(): void {
    const view = this.view;
    if (!view) return;
    const wanted = this.filter.value.trim().toLowerCase();
    const matching = view.versions.filter((version) => matches(version, wanted));
    const visible = matching.slice(0, this.limit);
    const selected = matching.find((version) => version.version === this.chosen);
    if (selected && !visible.includes(selected)) visible.push(selected);
    this.filter.hidden = view.versions.length < FILTER_FROM;
    this.filter.disabled = this.closed;
    this.list.setAttribute("aria-disabled", String(this.closed));
    const metric = view.compare[0]?.metric;
    this.place(visible.map((version) => this.row(version, metric)));
    this.order = visible.map((version) => version.version);
    const stop = this.stopFor();
    for (const [name, { element }] of this.rows) {
      element.setAttribute("aria-selected", String(name === this.chosen));
      element.tabIndex = name === stop && !this.closed ? 0 : -1;
    }
    const hidden = matching.length - visible.length;
    this.more.hidden = hidden === 0;
    say(this.more, trans.__("Show more (%1 hidden)", hidden.toLocaleString("en-US")));
    if (!visible.length) fill(this.list, h("div", { class: "mlp-quiet mlp-none" }, this.nothing(wanted)));
  }

  private nothing(wanted: string): string {
    const count = this.view?.versions.length ?? 0;
    return wanted ? trans._n("The one version does not match.", "None of %1 versions matches.", count) : trans.__("No versions.");
  }

  /** Put rows in place; the page is touched only where their order changed, so the focus stays. */
  private place(elements: HTMLElement[]): void {
    const present = [...this.list.children];
    if (present.length === elements.length && elements.every((element, at) => element === present[at])) return;
    const held = this.list.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null;
    this.list.replaceChildren(...elements);
    if (held?.isConnected) held.focus({ preventScroll: true });
    const kept = new Set(elements);
    for (const [name, { element }] of this.rows) if (!kept.has(element)) this.rows.delete(name);
  }

  private row(version: Version, metric: string | undefined): HTMLElement {
    const signature = JSON.stringify([version, metric]);
    const known = this.rows.get(version.version);
    if (known?.signature === signature) return known.element;
    const element = known?.element ?? h("div", { class: "mlp-row", role: "option", id: `${this.id}-${this.rows.size}` });
    element.dataset["version"] = version.version;
    fill(element, ...contents(version, metric));
    this.rows.set(version.version, { element, signature });
    return element;
  }

  /** The one row that Tab reaches: the chosen one, else the first. */
  private stopFor(): string {
    return this.order.includes(this.chosen) ? this.chosen : (this.order[0] ?? "");
  }

  private focus(version: string): void {
    this.rows.get(version)?.element.focus();
  }

  private choose(version: string): void {
    if (this.closed || !version) return;
    this.focus(version);
    if (version !== this.chosen) this.onChoose(version);
  }

  private steer(event: KeyboardEvent): void {
    const row = (event.target as Element).closest<HTMLElement>("[data-version]");
    const at = this.order.indexOf(row?.dataset["version"] ?? "");
    const last = this.order.length - 1;
    const to = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
    if (to !== undefined) this.stop(event, () => this.choose(this.order[to] ?? ""));
    else if (event.key === " " || event.key === "Enter") this.stop(event, () => this.choose(this.order[at] ?? ""));
  }

  /** Handle a key here, and keep it from the notebook, which has a meaning of its own for it. */
  private stop(event: KeyboardEvent, then: () => void): void {
    event.preventDefault();
    event.stopPropagation();
    then();
  }
}

function matches(version: Version, wanted: string): boolean {
  if (!wanted) return true;
  const text = [`v${version.version}`, version.run, version.format, ...version.aliases].join("\n").toLowerCase();
  return wanted.split(/\s+/).every((word) => text.includes(word));
}

function contents(version: Version, metric: string | undefined): HTMLElement[] {
  const name = metric !== undefined && metric in version.metrics ? metric : Object.keys(version.metrics)[0];
  const chips = version.aliases.map((alias) => h("span", { class: "mlp-chip" }, alias));
  return [
    h("span", { class: "mlp-row-name" }, h("strong", {}, `v${version.version}`), ...chips),
    h(
      "span",
      { class: "mlp-row-facts" },
      name !== undefined && h("span", { class: "mlp-number" }, `${name} ${shown(version.metrics[name])}`),
      h("span", { class: "mlp-quiet", title: version.made }, day(version.made)),
    ),
  ];
}
