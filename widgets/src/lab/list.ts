// A list of things that can be opened: one tab stop, arrow keys, rows kept as long as they say the same.

import { h } from "../cards/dom";

export interface Item {
  key: string;
  /** What it shows, as text: the row is built again only where this has changed. */
  signature: string;
  make(): (Node | string | null)[];
}

export class List {
  readonly element: HTMLElement;
  private readonly rows = new Map<string, { element: HTMLElement; signature: string }>();
  private order: string[] = [];
  private stop = "";

  constructor(
    label: string,
    private readonly open: (key: string) => void,
  ) {
    this.element = h("div", { class: "mlp-items", role: "listbox", "aria-label": label });
    this.element.addEventListener("click", (event) => {
      const key = keyOf(event);
      if (key) this.open(key);
    });
    this.element.addEventListener("focusin", (event) => this.reach(keyOf(event)));
    this.element.addEventListener("keydown", (event) => this.steer(event));
  }

  update(items: Item[]): void {
    const held = this.element.contains(document.activeElement);
    const made = items.map((item) => this.row(item));
    const present = [...this.element.children];
    if (present.length !== made.length || made.some((row, at) => row !== present[at])) this.element.replaceChildren(...made);
    this.order = items.map((item) => item.key);
    const kept = new Set(this.order);
    for (const key of [...this.rows.keys()]) if (!kept.has(key)) this.rows.delete(key);
    this.reach(this.rows.has(this.stop) ? this.stop : (this.order[0] ?? ""));
    if (held) this.focus();
    this.element.hidden = !items.length; // an empty listbox is none
  }

  /** Focus the row of a key; where it is not here, the one that Tab reaches. */
  focus(key = this.stop): void {
    const to = this.rows.has(key) ? key : this.stop;
    this.rows.get(to)?.element.focus({ preventScroll: to === this.stop });
  }

  private row(item: Item): HTMLElement {
    const known = this.rows.get(item.key);
    if (known?.signature === item.signature) return known.element;
    const element = known?.element ?? h("div", { class: "mlp-row", role: "option", "aria-selected": "false", tabindex: "-1" });
    element.dataset["key"] = item.key;
    element.replaceChildren(...item.make().filter((part): part is Node | string => part !== null));
    this.rows.set(item.key, { element, signature: item.signature });
    return element;
  }

  private reach(key: string): void {
    if (!this.rows.has(key)) return;
    // Only the two rows that change are touched: a list may have grown long.
    for (const name of new Set([this.stop, key])) {
      const row = this.rows.get(name)?.element;
      if (row) row.tabIndex = name === key ? 0 : -1;
      row?.setAttribute("aria-selected", String(name === key));
    }
    this.stop = key;
  }

  private steer(event: KeyboardEvent): void {
    const at = this.order.indexOf(keyOf(event));
    const last = this.order.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.rows.get(this.order[Math.max(0, Math.min(to, last))] ?? "")?.element.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.order[at] ?? "");
    }
  }
}

function keyOf(event: Event): string {
  return (event.target as Element).closest<HTMLElement>("[data-key]")?.dataset["key"] ?? "";
}
