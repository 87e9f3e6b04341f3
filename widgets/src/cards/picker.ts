// Choosing the columns: metrics, parameters that differ, and those that do not.

import { fill, h, say } from "./dom";
import type { Column } from "./runs_model";
import { name } from "./text";

const MANY = 12; // names above which there is a box to search them

export class Picker {
  readonly element: HTMLDetailsElement;
  private readonly summary = h("summary", { class: "mlp-press" });
  private readonly panel = h("div", { class: "mlp-choices", role: "group", "aria-label": "Columns" });

  constructor(
    private readonly columns: Column[],
    private chosen: string[],
    private readonly onChoose: (columns: string[]) => void,
  ) {
    this.element = h("details", { class: "mlp-picker" }, this.summary, this.panel);
    this.element.addEventListener("toggle", () => this.element.open && !this.panel.firstChild && this.build());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      event.stopPropagation();
      this.element.open = false;
      this.summary.focus();
    });
    this.element.addEventListener("focusout", (event) => {
      const to = event.relatedTarget as Node | null;
      if (to && !this.element.contains(to)) this.element.open = false;
    });
    this.count();
  }

  private count(): void {
    say(this.summary, `Columns ${this.chosen.length} of ${this.columns.length.toLocaleString("en-US")}`);
  }

  private build(): void {
    const groups: [string, Column[]][] = [
      ["Metrics", this.columns.filter((one) => one.key.startsWith("metrics."))],
      ["Parameters that differ", this.columns.filter((one) => one.key.startsWith("params.") && one.differs)],
      ["The same wherever there is one", this.columns.filter((one) => one.key.startsWith("params.") && !one.differs)],
    ];
    const labels: [string, HTMLElement][] = [];
    const sets = groups.filter(([, columns]) => columns.length).map(([title, columns]) => {
      const boxes = columns.map((column) => {
        const box = h("input", { type: "checkbox" });
        box.checked = this.chosen.includes(column.key);
        box.addEventListener("change", () => this.choose(column.key, box.checked));
        const label = h("label", {}, box, name(column.name, 40));
        labels.push([column.name.toLowerCase(), label]);
        return label;
      });
      return h("fieldset", {}, h("legend", {}, title), ...boxes);
    });
    const search = h("input", { type: "search", placeholder: "Find a column", "aria-label": "Find a column", autocomplete: "off", spellcheck: "false" });
    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      for (const [text, label] of labels) label.hidden = !text.includes(wanted);
    });
    fill(this.panel, labels.length > MANY && search, ...sets);
  }

  /** The order is the kernel's, whichever is chosen first. */
  private choose(key: string, on: boolean): void {
    const wanted = new Set(this.chosen);
    if (on) wanted.add(key);
    else wanted.delete(key);
    const listed = this.chosen.filter((one) => wanted.has(one));
    const later = this.columns.filter((one) => wanted.has(one.key) && !listed.includes(one.key)).map((one) => one.key);
    const all = [...listed, ...later];
    this.chosen = [...all.filter((one) => one.startsWith("metrics.")), ...all.filter((one) => !one.startsWith("metrics."))];
    this.count();
    this.onChoose(this.chosen);
  }
}
