// MLflow's own pages in a tab: asked for by a click, started by the Jupyter server, which guards them as its own.

import { h } from "../cards/dom";
import type { App, LuminoWidget, Modules } from "./jupyter";
import { Refused, type Rest } from "./rest";
import { trans } from "../cards/words";

export const LAB = "JupyterLab"; // elsewhere an application holds one document, and no tab

export class MlflowTab {
  private readonly tabs = new Map<string, LuminoWidget>();

  constructor(
    private readonly app: App,
    private readonly modules: Modules,
    private readonly rest: Rest,
    private readonly icon: unknown,
  ) {}

  /** Show the pages of the store of the notebook that is worked in. */
  async open(): Promise<void> {
    const { url, outside } = await this.rest.write<{ url: string; outside: boolean }>("mlflow", {});
    const first = outside ? url : `${url}#/experiments`; // its home is about language models
    if (!outside && this.app.name === LAB) return this.inside(first);
    // A tracking server decides itself who may put its pages into a frame; mostly nobody.
    if (window.open(first, "_blank", outside ? "noopener" : "") || outside) return;
    throw new Refused(trans.__("The browser did not open a new tab."), trans.__("Allow it for this page, or open %1.", url));
  }

  private inside(url: string): void {
    const known = this.tabs.get(url);
    const widget = known && !known.isDisposed ? known : this.made(url);
    this.tabs.set(url, widget);
    this.app.shell.activateById(widget.id);
  }

  private made(url: string): LuminoWidget {
    const frame = h("iframe", { class: "mlp-frame", src: url, title: "MLflow" });
    const widget = new this.modules.lumino.Widget({ node: h("div", { class: "mlops-magics-lab mlp-framed" }, frame) });
    widget.id = `mlops-magics-mlflow-${this.tabs.size}`;
    Object.assign(widget.title, { label: "MLflow", caption: trans.__("MLflow's own pages for the store of this project"), icon: this.icon, closable: true });
    this.app.shell.add(widget, "main");
    return widget;
  }
}
