// Names and values of others: set apart from their neighbours, cut for show, the whole within reach.

import { h } from "./dom";
import type { Cell, Words } from "./profile_model";
import { shown } from "./shown";
import { trans } from "./words";

const ROOM = 60;

export function cut(text: string, room = ROOM): string {
  return text.length > room ? `${text.slice(0, room - 1)}…` : text;
}

/** A name in the flow of a sentence or a cell. */
export function name(text: string, room = ROOM): HTMLElement {
  const short = cut(text, room);
  return h("bdi", { title: short === text ? undefined : text }, short || trans.__("(empty text)"));
}

/** A value that can be opened where it is long: a title is out of the keyboard's reach. */
export function whole(value: Cell, room = ROOM): HTMLElement {
  if (typeof value !== "string" || value.length <= room) {
    return typeof value === "string" ? name(value, room) : h("span", {}, shown(value));
  }
  return h("details", { class: "mlp-long" }, h("summary", {}, h("bdi", {}, cut(value, room))), h("bdi", {}, value));
}

export function words(parts: Words): Node[] {
  return parts.map((part) => (typeof part === "string" ? document.createTextNode(part) : name(part[0])));
}

export function percent(share: number): string {
  const value = share * 100;
  const rounded = Math.round(value * 10) / 10;
  if (rounded === 0 && value > 0) return `${Number(value.toPrecision(1))}\u00a0%`;
  return `${rounded === 100 && value < 100 ? 99.9 : rounded}\u00a0%`;
}

/** Of an association: two decimals, so that the points stand below one another. */
export function strength(value: number): string {
  return value.toFixed(2).replace("-", "−");
}

type Say = (text: string) => void;

/** A button that copies code. The code was written in the kernel; here it is only text. */
export function copier(code: string, label: string, say: Say, short = ""): HTMLElement {
  const button = h("button", { type: "button", class: "mlp-copy", title: code, "aria-label": short ? undefined : trans.__("Copy code: %1", label) }, short || trans.__("Copy"));
  button.addEventListener("click", () => {
    void copy(code, button).then((done) => say(done ? trans.__("Copied.") : trans.__("The browser did not allow copying: mark the code and copy it.")));
  });
  return button;
}

/** Put a text on the clipboard; false where the browser does not allow it. */
export async function copy(code: string, beside: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(code);
    return true;
  } catch {
    // A page that is neither https nor local has no clipboard of that kind: the older way still works there.
    const area = h("textarea", { class: "mlp-unseen", "aria-hidden": "true" });
    area.value = code;
    beside.after(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    beside.focus();
    return done;
  }
}
