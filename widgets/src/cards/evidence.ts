// What the choice rests on, in full: read from the store when somebody opens it, or one gate, for that version and alias.

import { blocks } from "./blocks";
import { fill, h, say } from "./dom";
import { Gates } from "./gates";
import type { View } from "./model";
import { trans } from "./words";

export class Evidence {
  private readonly title = h("summary", {});
  private readonly body = h("div", { class: "mlp-evidence" });
  readonly element = h("details", { class: "mlp-history" }, this.title, this.body);
  private asked = ""; // a question that failed is not asked again by itself
  readonly gates = new Gates((open) => this.toggled(open));
  private drawn = "";

  /** `opened` is called when somebody opens or closes it, or a gate. */
  constructor(private readonly opened: () => void) {
    this.element.addEventListener("toggle", () => this.toggled(this.element.open));
  }

  private toggled(open: boolean): void {
    if (!open) this.asked = "";
    this.opened();
  }

  /** It is open, or a gate, and what is shown there has not been read yet. */
  wants(view: View): boolean {
    const key = about(view);
    if (!(this.element.open || this.gates.open) || !view.selected || this.asked === key || has(view)) return false;
    this.asked = key;
    return true;
  }

  update(view: View, gone: boolean): void {
    this.element.hidden = !view.selected;
    const rival = view.holders[view.to];
    const beside = rival !== undefined && rival !== view.selected;
    const words = beside ? trans.__("What the evaluation of v%1 found, and what differs from v%2", view.selected, rival) : trans.__("What the evaluation of v%1 found", view.selected);
    if (this.title.textContent !== words) say(this.title, words);
    const quiet = gone ? trans.__("The kernel is gone.") : trans.__("Reading…");
    this.gates.update(view, has(view) ? (view.details ?? undefined) : undefined, quiet);
    const key = has(view) ? `${about(view)} there` : gone ? "gone" : "";
    if (key === this.drawn) return;
    this.drawn = key;
    fill(this.body, ...(has(view) ? blocks(view.details?.blocks ?? []) : [h("p", { class: "mlp-quiet" }, quiet)]));
  }
}

function about(view: View): string {
  return JSON.stringify([view.selected, view.to, view.holders[view.to] ?? ""]);
}

function has(view: View): boolean {
  const found = view.details;
  const rival = view.holders[view.to] ?? "";
  return found !== null && found.version === view.selected && found.alias === view.to && found.holder === (rival === view.selected ? "" : rival);
}
