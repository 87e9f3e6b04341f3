// The section of alerts: what asks for attention, why, and the way there.

import { fill, h } from "../cards/dom";
import { button, type Host, line, none, renewed, type Section, type SectionName, Turns } from "./parts";
import { trans } from "../cards/words";

interface Alert {
  tone: "broken" | "warning";
  what: string;
  remedy: string;
  part: string;
  name: string;
}

const SECTIONS = new Set<string>(["runs", "models", "endpoints"]);

export class Alerts implements Section {
  readonly element = h("div", { class: "mlp-alerts" });
  readonly hint = trans.__("Search alerts");

  private readonly turns = new Turns();

  constructor(private readonly host: Host) {}

  async refresh(search: string): Promise<void> {
    const last = this.turns.begin();
    const { alerts } = await this.host.rest.read<{ alerts: Alert[] }>("alerts");
    if (!last()) return;
    const wanted = search.toLowerCase().split(/\s+/);
    const fitting = alerts.filter((one) => wanted.every((word) => `${one.what} ${one.name}`.toLowerCase().includes(word)));
    const text = JSON.stringify([fitting, alerts.length]);
    if (this.element.dataset["shown"] === text) return;
    this.element.dataset["shown"] = text;
    renewed(this.element, () => fill(this.element, ...this.shown(fitting, alerts.length)));
  }

  open(): void {
    // An alert has nothing behind it but its thing, which has a section of its own.
  }

  private shown(fitting: Alert[], total: number): HTMLElement[] {
    if (fitting.length) return [h("ul", {}, ...fitting.map((one) => h("li", { class: "mlp-alert" }, ...this.contents(one))))];
    if (total) return [none(total)];
    const looked = trans.__("Looked at are the endpoints, the aliases of all models, and runs that wait for the store. This looks closer:");
    return [
      h("p", { class: "mlp-quiet mlp-none" }, trans.__("Nothing asks for your attention.")),
      h("div", { class: "mlp-lesson" }, h("p", {}, looked), line(this.host, "%mlops_doctor")),
    ];
  }

  private contents(one: Alert): HTMLElement[] {
    const bad = one.tone === "broken";
    const remedy = one.remedy.startsWith("%") ? line(this.host, one.remedy) : h("p", { class: "mlp-quiet" }, one.remedy);
    const there = one.name && SECTIONS.has(one.part) ? [button(trans.__("Open %1", one.name), () => this.host.show(one.part as SectionName, one.name), "mlp-link")] : [];
    return [h("p", {}, h("strong", { class: bad ? "mlp-bad" : "mlp-warn" }, bad ? trans.__("✗ Broken: ") : trans.__("! Warning: ")), one.what), remedy, ...there];
  }
}
