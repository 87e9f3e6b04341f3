// The badge of a tracked cell: its run, how it ended, its metric; "edited" once the cell is not what was executed.
//
// All of it is read from the output's metadata, so it is there after a reload, without a kernel and without a server.
// Only a cell whose kernel ended meanwhile could write nothing there: the server is asked for those.

import { h } from "../cards/dom";
import type { CodeCell, Notebook, Tracker } from "./jupyter";
import { crc } from "./crc";
import { mark } from "./parts";
import { trans } from "../cards/words";

export interface Ids {
  run_id?: string;
  name?: string;
  status?: string;
  metric?: string;
  cell?: string;
}

/** Cells that were cut short, by their ids: those with a run in the store, and those that were no run yet. */
export interface Cut {
  cells: Record<string, Ids>;
  marked: Record<string, Ids>;
}

const OWN = /^\s*%%mlops_track[^\n]*\n/;
const TRACKS = /^\s*%%?mlops_track\b/m; // a notebook without that line has no tracked cell
const SETTLE = 150; // ms after the last key or output
const ENDED = new Set(["restarting", "autorestarting", "terminating", "dead"]); // what a kernel says that will run no further
const LATER = [1_000, 6_000, 15_000]; // ms after that: its process ends a moment later, and is given time to

export class Badges {
  private readonly known = new WeakSet<CodeCell>();
  private readonly followed = new WeakSet<Notebook>();
  private readonly cut = new WeakMap<CodeCell, Ids>(); // cells that were cut short, and show nothing of it
  private on = true;

  constructor(
    private readonly tracker: Tracker,
    private readonly open: (run: string) => void,
    /** Name what a notebook's cells made that were cut short. */
    private readonly ended: (notebook: string) => Promise<Cut>,
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

  /** A cell is executed: what became of its last run is over. */
  begun(cell: CodeCell): void {
    if (this.cut.delete(cell)) this.show(cell);
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
    void this.miss(notebook);
    notebook.sessionContext.statusChanged.connect((_, status) => {
      if (!ENDED.has(status)) return;
      for (const later of LATER) window.setTimeout(() => void this.miss(notebook), later);
    });
  }

  /** Look for what became of tracked cells that show no run. A server that is away is asked when the next kernel ends. */
  private async miss(notebook: Notebook): Promise<void> {
    const cells = notebook.isDisposed ? [] : notebook.content.widgets;
    const source = (cell: CodeCell): string => cell.model.sharedModel.getSource();
    const silent = (cell: CodeCell): boolean => cell.model.type === "code" && !idsOf(cell)?.run_id;
    if (!cells.some((cell) => silent(cell) && TRACKS.test(source(cell)))) return;
    const found = await this.ended(notebook.context.path).catch((): Cut => ({ cells: {}, marked: {} }));
    for (const cell of cells) {
      if (cell.isDisposed || !silent(cell)) continue;
      // Without the line a cell's newest run may be one of when it had that line.
      const ids = found.marked[cell.model.id] ?? (OWN.test(source(cell)) ? found.cells[cell.model.id] : undefined);
      if (!ids) continue;
      this.cut.set(cell, ids);
      this.show(cell);
    }
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
    const known = idsOf(cell);
    const cut = !known?.run_id && this.cut.has(cell);
    const ids = this.on ? (cut ? this.cut.get(cell) : known) : undefined;
    if (!ids || !(ids.run_id || cut)) return old?.remove();
    const source = cell.model.sharedModel.getSource().replace(OWN, "").trim();
    const stale = ids.cell !== undefined && ids.cell !== crc(source);
    const signature = JSON.stringify([ids, stale, cut]);
    if (old?.dataset["shown"] === signature) return;
    const interrupted = ids.run_id ? trans.__("interrupted") : trans.__("interrupted, no run");
    const row = this.made(cut ? { ...ids, status: "KILLED" } : ids, cut ? interrupted : stale ? trans.__("edited since") : "");
    row.dataset["shown"] = signature;
    if (old) old.replaceWith(row);
    else cell.node.insertBefore(row, cell.node.querySelector(":scope > .jp-Cell-outputWrapper"));
  }

  private made({ run_id = "", name = run_id.slice(0, 8), status = "FINISHED", metric }: Ids, beside: string): HTMLElement {
    const [sign, tone, word] = mark(status);
    const facts = [word, metric, beside].filter(Boolean).join(", ");
    const parts = [
      h("span", { class: tone }, sign),
      h("bdi", {}, ` ${name}`),
      metric ? h("span", { class: "mlp-quiet" }, ` ${metric}`) : null,
      beside ? h("span", { class: "mlp-warn" }, ` ${beside}`) : null,
    ];
    const kind = `mlp-badge${beside ? " mlp-stale" : ""}`;
    const row = (badge: HTMLElement): HTMLElement => h("div", { class: "mlops-magics-lab" }, h("div", { class: "mlp mlp-badge-row" }, badge));
    if (!run_id) return row(h("span", { class: kind, title: trans.__("%1: this cell was interrupted, or its kernel ended, and no run came of it.", name) }, ...parts));
    const title = trans.__("Run %1: %2. Open it in the MLOps panel.", name, facts);
    const badge = h("button", { type: "button", class: kind, title, "aria-label": title }, ...parts);
    badge.addEventListener("click", () => this.open(run_id));
    return row(badge);
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
