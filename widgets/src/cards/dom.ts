// Making elements. Text only ever enters the page as text nodes, so nothing a store holds can become markup.

type Attributes = Record<string, string | boolean | undefined>;
type Child = Node | string | null | undefined | false;

/** Make an element; an attribute that is false or undefined is left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  fill(element, ...children);
  return element;
}

/** Replace what an element holds. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter((child): child is Node | string => !!child));
}

/** Set an element's text, touching the page only on change: a live region speaks on every touch. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Words for a screen reader only. */
export function unseen(text: string): HTMLElement {
  return h("span", { class: "mlp-unseen" }, text);
}

/**
 * Close a control without taking it out of the keyboard's reach: a `disabled` button drops the focus,
 * and cannot say why it is closed.
 */
export function close(button: HTMLElement, closed: boolean): void {
  button.setAttribute("aria-disabled", String(closed));
}

export function closed(button: HTMLElement): boolean {
  return button.getAttribute("aria-disabled") === "true";
}

/** An identifier that no other card on the page has. */
export function fresh(): string {
  return `mlp-${Math.random().toString(36).slice(2, 10)}${Date.now().toString(36)}`;
}
