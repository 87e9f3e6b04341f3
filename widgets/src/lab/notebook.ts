// What the panel does with notebooks: a line into a new cell, a new notebook from the template.

import { copy } from "../cards/text";
import type { App, Modules, Tracker } from "./jupyter";
import template from "./template.json";
import { trans } from "../cards/words";

/** The folder that is worked in, from the server's root: the notebook's, else the file browser's. */
export function folder(tracker: Tracker, browsed: () => string): string {
  const path = tracker.currentWidget?.context.path;
  const found = path === undefined ? browsed() : path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  return found.replace(/^[^/:]*:/, ""); // a drive's name, as real-time collaboration has it
}

/** Put code into a new cell below the active one; where no notebook is open, on the clipboard. */
export async function insert({ notebook }: Modules, tracker: Tracker, code: string): Promise<string> {
  const open = tracker.currentWidget;
  if (!open) return (await copy(code, document.body.appendChild(document.createElement("span")))) ? trans.__("No notebook is open: the line is on the clipboard.") : trans.__("Open a notebook first.");
  notebook.NotebookActions.insertBelow(open.content);
  const cell = open.content.activeCell as unknown as { model: { sharedModel: { setSource(text: string): void } } } | null;
  cell?.model.sharedModel.setSource(code);
  return trans.__("It is in a new cell of the notebook.");
}

/** Make a notebook of the template in a folder, and open it. */
export async function fromTemplate(app: App, at: string): Promise<void> {
  const { contents } = app.serviceManager;
  const { path } = await contents.newUntitled({ path: at, type: "notebook" });
  const cells = template.cells.map(({ kind, source }, place) => ({
    cell_type: kind,
    id: `mlops-${place}`,
    metadata: {},
    source,
    ...(kind === "code" && { execution_count: null, outputs: [] }),
  }));
  const metadata = { kernelspec: { name: "python3", display_name: "Python 3 (ipykernel)", language: "python" } };
  await contents.save(path, { type: "notebook", format: "json", content: { nbformat: 4, nbformat_minor: 5, metadata, cells } });
  await app.commands.execute("docmanager:open", { path });
}
