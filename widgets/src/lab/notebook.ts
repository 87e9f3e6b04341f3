// What the panel does with notebooks: a line into a new cell, a new notebook from the template.

import { copy } from "../cards/text";
import type { App, CodeCell, Modules, Tracker } from "./jupyter";
import template from "./template.json";
import { trans } from "../cards/words";

/** The folder that is worked in, from the server's root: the notebook's, else the file browser's. */
export function folder(tracker: Tracker, browsed: () => string): string {
  const path = tracker.currentWidget?.context.path;
  return path === undefined ? plain(browsed()) : folderOf(path);
}

/** The folder of a notebook, from the server's root. */
export function folderOf(path: string): string {
  return plain(path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");
}

/** A path without the name of a drive, which real-time collaboration puts before it. */
export function plain(path: string): string {
  return path.replace(/^[^/:]*:/, "");
}

const LOAD = "%load_ext mlops_magics";
const OWN = /\b[A-Z]{3,}\b/; // what is to be filled in

function blank(cell: CodeCell | null | undefined): boolean {
  return cell?.model.type === "code" && !cell.model.sharedModel.getSource().trim();
}

/**
 * Put code into the active cell or the next one where that is empty, else into a new one between them; where no notebook is open, on the
 * clipboard. A notebook that does not load the magics yet gets the line that does before it. Who asked for it goes on
 * there: the cell has the focus, and what is to be filled in is selected.
 */
export async function insert({ notebook }: Modules, tracker: Tracker, code: string): Promise<string> {
  const open = tracker.currentWidget;
  if (!open) return (await copy(code, document.body.appendChild(document.createElement("span")))) ? trans.__("No notebook is open: the line is on the clipboard.") : trans.__("Open a notebook first.");
  const loaded = !code.startsWith("%") || open.content.widgets.some((cell) => cell.model.sharedModel.getSource().includes("load_ext mlops_magics"));
  const lines = loaded || code === LOAD ? [code] : [LOAD, code];
  const { content } = open;
  const places = lines.map((line) => {
    if (!blank(content.activeCell) && blank(content.widgets[content.activeCellIndex + 1])) content.activeCellIndex += 1;
    else if (!blank(content.activeCell)) notebook.NotebookActions.insertBelow(content);
    content.activeCell?.model.sharedModel.setSource(line);
    return content.activeCellIndex;
  });
  content.activeCellIndex = places[0] ?? content.activeCellIndex;
  content.mode = "edit";
  const own = OWN.exec(lines[0] ?? "");
  if (own) content.activeCell?.editor?.setSelection({ start: { line: 0, column: own.index }, end: { line: 0, column: own.index + own[0].length } });
  if (lines.length > 1) return trans.__("Two cells of the notebook have it: the first one loads the commands. Run both.");
  return own ? trans.__("It is in a cell of the notebook: write your own in place of %1, then run it.", capitals(code)) : trans.__("It is in a cell of the notebook: run it.");
}

/** The words of a line that are to be filled in, each once. */
function capitals(code: string): string {
  return [...new Set(code.match(new RegExp(OWN, "g")))].join(", ");
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
