// The gates of a version: each opens by itself to what it saw.

import { blocks } from "./blocks";
import { Area, heading, number, table } from "./detail";
import { fill, fresh, h, unseen } from "./dom";
import type { Details, Gate, Verdict, View } from "./model";
import { trans } from "./words";

const MARKS: Record<Verdict, [mark: string, words: () => string, tone: string]> = {
  pass: ["✓", () => trans.__("pass"), "good"],
  fail: ["✗", () => trans.__("fail"), "bad"],
  "not applicable": ["–", () => trans.__("not applicable"), "quiet"],
};

interface Opening {
  button: HTMLElement;
  row: HTMLElement;
  place: HTMLElement;
}

export class Gates {
  private readonly area = new Area(h("div", {}));
  readonly element = this.area.element;
  private readonly wanted = new Set<string>(); // by name: the same gate of another version stays open
  private readonly made = new Map<string, Opening>();
  private shown = "";

  /** `toggled` is called when somebody opens or closes a gate. */
  constructor(private readonly toggled: (open: boolean) => void) {}

  /** A gate that is shown is open. */
  get open(): boolean {
    return [...this.made.keys()].some((name) => this.wanted.has(name));
  }

  /** `found` is undefined while it is not there. */
  update(view: View, found: Details | undefined, quiet: string): void {
    this.area.draw(view.gates, () => this.draw(view.gates));
    const shown = JSON.stringify([found ?? quiet, [...this.wanted], view.gates]);
    if (shown === this.shown) return;
    this.shown = shown;
    for (const [name, { button, row, place }] of this.made) {
      const open = this.wanted.has(name);
      button.setAttribute("aria-expanded", String(open));
      row.hidden = !open;
      fill(place, ...(open ? evidence(name, found, quiet) : []));
    }
  }

  private draw(gates: Gate[]): Node[] {
    const held = [...this.made].find(([, { button }]) => button === document.activeElement)?.[0];
    this.made.clear();
    const parts = this.parts(gates);
    // A new verdict must not throw the keyboard out of the table.
    if (held !== undefined) queueMicrotask(() => this.made.get(held)?.button.focus());
    return parts;
  }

  private parts(gates: Gate[]): Node[] {
    if (!gates.length) return [heading(trans.__("Gates")), h("p", { class: "mlp-quiet" }, trans.__("No gates guard this alias."))];
    const failed = gates.filter((gate) => gate.verdict === "fail").length;
    const standing = failed ? trans._n("%1 gate of %2 failed", "%1 gates of %2 failed", failed, String(gates.length)) : trans.__("All gates hold");
    const head = [
      h("th", { scope: "col" }, trans.__("Gate")),
      h("th", { scope: "col", class: "mlp-number" }, trans.__("Value")),
      h("th", { scope: "col", class: "mlp-number" }, trans.__("Threshold")),
      h("th", { scope: "col", class: "mlp-wide" }, trans.__("Evidence")),
    ];
    // What holds the version back comes first; the others keep their order.
    const ordered = [...gates].sort((one, other) => Number(other.verdict === "fail") - Number(one.verdict === "fail"));
    const rows = table(trans.__("Gates"), head, ordered.flatMap((gate) => this.rows(gate)));
    rows.className = "mlp-gates";
    return [heading(trans.__("Gates"), h("span", { class: failed ? "mlp-bad" : "mlp-good" }, standing)), rows];
  }

  private rows(gate: Gate): HTMLElement[] {
    const [mark, words, tone] = MARKS[gate.verdict] ?? MARKS["not applicable"];
    const id = fresh();
    const button = h(
      "button",
      { type: "button", class: "mlp-gate", "aria-expanded": "false", "aria-controls": id },
      h("span", { class: `mlp-mark mlp-${tone}`, "aria-hidden": "true" }, mark),
      gate.name,
      unseen(`: ${words()}`),
    );
    button.addEventListener("click", () => this.toggle(gate.name));
    const place = h("div", { class: "mlp-evidence" });
    const row = h("tr", { id, hidden: true, class: "mlp-opened" }, h("td", { colspan: "4" }, place));
    this.made.set(gate.name, { button, row, place });
    return [
      h(
        "tr",
        {},
        h("th", { scope: "row" }, button),
        number(gate.value, gate.verdict === "fail" ? "mlp-bad" : ""),
        number(gate.threshold),
        h("td", { class: "mlp-quiet mlp-wide" }, gate.verdict === "not applicable" ? gate.evidence || words() : gate.evidence),
      ),
      row,
    ];
  }

  private toggle(name: string): void {
    const open = !this.wanted.delete(name);
    if (open) this.wanted.add(name);
    this.toggled(open);
  }
}

function evidence(name: string, found: Details | undefined, quiet: string): HTMLElement[] {
  if (!found) return [h("p", { class: "mlp-quiet" }, quiet)];
  const parts = [...(found.gates?.[name] ?? []), ...found.blocks.filter((block) => block.gate === name)];
  return parts.length ? blocks(parts) : [h("p", { class: "mlp-quiet" }, trans.__("Nothing more is kept of it."))];
}
