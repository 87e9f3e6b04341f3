// The section of alerts: what asks for attention, why, and the way there.

import { fill, h } from "../cards/dom";
import { button, type Host, line, type Section, type SectionName } from "./parts";

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
  readonly hint = "Search alerts";

  constructor(private readonly host: Host) {}

  async refresh(search: string): Promise<void> {
    const { alerts } = await this.host.rest.read<{ alerts: Alert[] }>("alerts");
    const wanted = search.toLowerCase().split(/\s+/);
    const fitting = alerts.filter((one) => wanted.every((word) => `${one.what} ${one.name}`.toLowerCase().includes(word)));
    const text = JSON.stringify(fitting);
    if (this.element.dataset["shown"] === text) return;
    this.element.dataset["shown"] = text;
    if (fitting.length) return fill(this.element, h("ul", {}, ...fitting.map((one) => h("li", { class: "mlp-alert" }, ...this.contents(one)))));
    const calm = alerts.length ? `None of ${alerts.length} fits.` : "Nothing asks for your attention.";
    fill(this.element, h("p", { class: "mlp-quiet mlp-none" }, calm), ...(alerts.length ? [] : [h("div", { class: "mlp-lesson" }, h("p", {}, "Looked at are the endpoints, the aliases of all models, and runs that wait for the store. This looks closer:"), line(this.host, "%mlops_doctor"))]));
  }

  open(): void {
    // An alert has nothing behind it but its thing, which has a section of its own.
  }

  private contents(one: Alert): HTMLElement[] {
    const bad = one.tone === "broken";
    const remedy = one.remedy.startsWith("%") ? line(this.host, one.remedy) : h("p", { class: "mlp-quiet" }, one.remedy);
    const there = one.name && SECTIONS.has(one.part) ? [button(`Open ${one.name}`, () => this.host.show(one.part as SectionName, one.name), "mlp-link")] : [];
    return [h("p", {}, h("strong", { class: bad ? "mlp-bad" : "mlp-warn" }, bad ? "✗ Broken: " : "! Warning: "), one.what), remedy, ...there];
  }
}
