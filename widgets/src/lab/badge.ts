// The badge of a tracked cell: its run, how it ended, its metric; "edited" once the cell is not what was executed.
//
// All of it is read from the output's metadata, so it is there after a reload, without a kernel and without a server.

import { h } from "../cards/dom";
import type { CodeCell, Notebook, Tracker } from "./jupyter";
import { crc } from "./crc";
import { mark } from "./parts";
import { trans } from "../cards/words";

interface Ids {
  run_id?: string;
  name?: string;
  status?: string;
  metric?: string;
  cell?: string;
}

const OWN = /^\s*%%mlops_track[^\n]*\n/;
const SETTLE = 150; // ms after the last key or output

export class Badges {
  private readonly known = new WeakSet<CodeCell>();
  private readonly followed = new WeakSet<Notebook>();
  private on = true;

  constructor(
    private readonly tracker: Tracker,
    private readonly open: (run: string) => void,
  ) {
    tracker.widgetAdded.connect((_, notebook) => void this.follow(notebook));
    tracker.forEach((notebook) => void this.follow(notebook));
  }

  turn(on: boolean): void {
    this.on = on;
    this.tracker.forEach((notebook) => {
      for (const cell of notebook.content.widgets) this.show(cell);
    });
  }

  private async follow(notebook: Notebook): Promise<void> {
    if (this.followed.has(notebook)) return;
    this.followed.add(notebook);
    await notebook.context.ready;
    const look = (): void => {
      for (const cell of notebook.content.widgets) this.take(cell);
    };
    let due = 0;
    const soon = (): void => {
      clearTimeout(due);
      due = window.setTimeout(look); // the cell's widget is made after its model
    };
    notebook.content.model?.cells.changed.connect(soon);
    notebook.content.modelChanged.connect(() => {
      notebook.content.model?.cells.changed.connect(soon); // another document's cells
      soon();
    });
    look();
  }

  private take(cell: CodeCell): void {
    if (this.known.has(cell) || cell.model.type !== "code") return;
    this.known.add(cell);
    let due = 0;
    const soon = (): void => {
      clearTimeout(due);
      due = window.setTimeout(() => this.show(cell), SETTLE);
    };
    cell.model.contentChanged.connect(soon);
    cell.model.outputs?.changed.connect(soon);
    void cell.ready.then(() => this.show(cell));
  }

  private show(cell: CodeCell): void {
    if (cell.isDisposed) return;
    const old = cell.node.querySelector<HTMLElement>(":scope > .mlops-magics-lab");
    const ids = this.on ? idsOf(cell) : undefined;
    if (!ids?.run_id) return old?.remove();
    const source = cell.model.sharedModel.getSource().replace(OWN, "").trim();
    const stale = ids.cell !== undefined && ids.cell !== crc(source);
    const signature = JSON.stringify([ids, stale]);
    if (old?.dataset["shown"] === signature) return;
    const row = this.made(ids, stale);
    row.dataset["shown"] = signature;
    if (old) old.replaceWith(row);
    else cell.node.insertBefore(row, cell.node.querySelector(":scope > .jp-Cell-outputWrapper"));
  }

  private made({ run_id = "", name, status = "FINISHED", metric }: Ids, stale: boolean): HTMLElement {
    const [sign, tone, word] = mark(status);
    const edited = stale ? trans.__("edited since") : "";
    const facts = [word, metric, edited].filter(Boolean).join(", ");
    const title = trans.__("Run %1: %2. Open it in the MLOps panel.", name ?? run_id.slice(0, 8), facts);
    const badge = h(
      "button",
      { type: "button", class: `mlp-badge${stale ? " mlp-stale" : ""}`, title, "aria-label": title },
      h("span", { class: tone }, sign),
      h("bdi", {}, ` ${name ?? run_id.slice(0, 8)}`),
      metric ? h("span", { class: "mlp-quiet" }, ` ${metric}`) : null,
      stale ? h("span", { class: "mlp-warn" }, ` ${edited}`) : null,
    );
    badge.addEventListener("click", () => this.open(run_id));
    return h("div", { class: "mlops-magics-lab" }, h("div", { class: "mlp mlp-badge-row" }, badge));
  }
}

function idsOf(cell: CodeCell): Ids | undefined {
  const outputs = cell.model.outputs;
  for (let at = (outputs?.length ?? 0) - 1; at >= 0; at--) {
    const about = outputs?.get(at).metadata["mlops_magics"] as { type?: unknown; ids?: Ids } | undefined;
    if (about?.type === "Run" || about?.type === "Failure") return about.ids;
  }
  return undefined;
}
