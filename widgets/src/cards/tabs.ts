// Tabs whose panels are built when they are first shown.

import { fresh, h } from "./dom";

export interface Tab {
  key: string;
  title: string;
  count: string;
  make: () => HTMLElement;
}

export class Tabs {
  readonly element: HTMLElement;
  private readonly tabs: { key: string; button: HTMLElement; panel: HTMLElement; make: () => HTMLElement }[];

  constructor(tabs: (Tab | null | false)[]) {
    const id = fresh();
    this.tabs = tabs.filter((tab): tab is Tab => !!tab).map((tab) => {
      const button = h("button", { type: "button", role: "tab", id: `${id}-${tab.key}`, "aria-controls": `${id}-${tab.key}-panel` }, tab.title, tab.count && h("span", { class: "mlp-quiet" }, ` ${tab.count}`));
      const panel = h("div", { role: "tabpanel", id: `${id}-${tab.key}-panel`, class: "mlp-panel", "aria-labelledby": `${id}-${tab.key}` });
      button.addEventListener("click", () => this.show(tab.key));
      return { key: tab.key, button, panel, make: tab.make };
    });
    const list = h("div", { role: "tablist", class: "mlp-tabs", "aria-label": "Parts of the profile" }, ...this.tabs.map((tab) => tab.button));
    list.addEventListener("keydown", (event) => this.steer(event));
    this.element = h("div", {}, list, ...this.tabs.map((tab) => tab.panel));
    this.show(this.tabs[0]?.key ?? "");
  }

  show(key: string): void {
    for (const tab of this.tabs) {
      const here = tab.key === key;
      tab.button.setAttribute("aria-selected", String(here));
      tab.button.tabIndex = here ? 0 : -1;
      tab.panel.hidden = !here;
      if (here && !tab.panel.firstChild) tab.panel.append(tab.make());
    }
  }

  private steer(event: KeyboardEvent): void {
    const at = this.tabs.findIndex((tab) => tab.button.tabIndex === 0);
    const last = this.tabs.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    const tab = to === undefined ? undefined : this.tabs[to];
    if (!tab) return;
    event.preventDefault();
    this.show(tab.key);
    tab.button.focus();
  }
}
