// What all sections of the panel use: buttons, empty states that teach, a question before an act.

import { fill, h } from "../cards/dom";
import type { Rest } from "./rest";
import { type Refused, refused } from "./rest";
import { number, trans } from "../cards/words";

/** What the panel asks of the application around it. */
export interface Host {
  readonly rest: Rest;
  /** Put a line into a new cell of the notebook; where none is open, on the clipboard. Says what it did. */
  insert(code: string): Promise<string>;
  openNotebook(path: string): Promise<void>;
  newNotebook(): Promise<void>;
  /** MLflow's own pages, in a tab. */
  openMlflow(): Promise<void>;
  /** The lines of the road's stages that are not done, with the names that are there; others where none is known. */
  lines(verbs: string[], ...otherwise: string[]): string[];
  /** Say in the panel's status how something went. */
  tell(tone: "good" | "bad" | "plain", what: string, remedy?: string): void;
  /** Show a thing in its section. */
  show(section: SectionName, key?: string): void;
  /** Read what is shown again: something was done here. */
  again(): void;
}

export type SectionName = "runs" | "models" | "endpoints" | "alerts";

export interface Section {
  readonly element: HTMLElement;
  /** What the search box says while this section is shown. */
  readonly hint: string;
  /** Read and show; rejects with what is wrong. */
  refresh(search: string): Promise<void>;
  /** Open a thing by its key; "" goes back to the list. `held`: the focus is with what was shown, and goes along. */
  open(key: string, held: boolean): void;
  /** Another project is shown from now on: what was chosen in the last one holds no longer. */
  leave?(): void;
}

export function button(label: string, act: () => unknown, kind = "mlp-plain", more: Record<string, string> = {}): HTMLButtonElement {
  const made = h("button", { type: "button", class: kind, ...more }, label);
  made.addEventListener("click", () => void act());
  return made;
}

/**
 * Make a part of the page anew. The focus stays where it was: on the same element, else on the one that is called the
 * same, else on the first button. False where it was in that part, and nothing is left there that could have it.
 */
export function renewed(part: HTMLElement, make: () => void): boolean {
  const held = part.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null;
  make();
  if (!held || document.activeElement === held) return true;
  const kept = part.contains(held) ? held : [...part.querySelectorAll<HTMLElement>(held.localName)].find((one) => called(one) === called(held));
  const to = kept ?? part.querySelector("button");
  to?.focus({ preventScroll: kept !== undefined });
  return to !== null;
}

function called(element: HTMLElement): string {
  return element.getAttribute("aria-label") ?? element.textContent;
}

/** Of several questions only the answer to the last one is shown. */
export class Turns {
  private last = 0;

  /** Begin a question; what it returns tells whether it still is the last one. */
  begin(): () => boolean {
    const mine = ++this.last;
    return () => mine === this.last;
  }
}

export function chips(names: string[]): HTMLElement[] {
  return names.map((name) => h("span", { class: "mlp-chip" }, name));
}

/** A line of code with a button that puts it into the notebook. */
export function line(host: Host, code: string): HTMLElement {
  const put = button(trans.__("Insert"), async () => host.tell("good", await host.insert(code)), "mlp-copy", { "aria-label": trans.__("Insert %1", code) });
  return h("div", { class: "mlp-line" }, h("code", {}, code), put);
}

/** Things are there, and the search finds none of them. */
export function none(total: number): HTMLElement {
  return h("p", { class: "mlp-quiet mlp-none" }, trans._n("The one that is there does not fit.", "None of %2 fits.", total, number(total)));
}

/** What to say after copying. */
export function copied(done: boolean): string {
  return done ? trans.__("Copied.") : trans.__("The browser did not allow copying.");
}

/** Nothing is there yet: why, and what makes the first one. */
export function lesson(host: Host, what: string, ...codes: string[]): HTMLElement {
  return h("div", { class: "mlp-lesson" }, h("p", {}, what), ...codes.map((code) => line(host, code)));
}

/** What is wrong and what to do, with a way to try again. */
export function trouble(error: Refused, again: () => void): HTMLElement {
  return h(
    "div",
    { class: "mlp-trouble mlp-tone-bad", role: "alert" },
    h("strong", { class: "mlp-bad" }, error.what),
    h("span", {}, error.remedy),
    button(trans.__("Try again"), again),
  );
}

/** A button that asks before it acts, in its place: the question is read out, and Escape keeps all as it is. */
export class Asking {
  readonly element: HTMLElement;
  private busy = false;

  constructor(
    private readonly host: Host,
    private readonly label: string,
    private readonly question: (Node | string)[],
    private readonly sure: string,
    private readonly act: () => Promise<{ what: string; notes?: string[] }>,
    private readonly waiting: string,
  ) {
    this.element = h("div", { class: "mlp-asking" });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.busy || this.element.firstElementChild?.getAttribute("role") !== "group") return;
      event.stopPropagation();
      this.rest(true);
    });
    this.rest(false);
  }

  private rest(focus: boolean): void {
    const ask = button(this.label, () => this.ask());
    fill(this.element, ask);
    if (focus) ask.focus();
  }

  private ask(): void {
    const keep = button(trans.__("Cancel"), () => this.rest(true));
    fill(
      this.element,
      h("div", { role: "group", class: "mlp-question", "aria-label": this.label }, h("div", {}, ...this.question), button(this.sure, () => this.go(), "mlp-main"), keep),
    );
    keep.focus(); // a second press of the same key changes nothing
  }

  private async go(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    fill(this.element, h("span", { class: "mlp-quiet" }, this.waiting));
    this.host.tell("plain", this.waiting);
    try {
      const done = await this.act();
      this.host.tell("good", done.what, (done.notes ?? []).join(" "));
      this.host.again();
    } catch (error) {
      const { what, remedy } = refused(error);
      this.host.tell("bad", what, remedy);
    } finally {
      this.busy = false;
      this.rest(this.element.isConnected && !document.activeElement?.closest(".mlp-lab"));
    }
  }
}

/** A moment in words: "5 min ago". */
export function ago(moment: number, now = Date.now()): string {
  const seconds = Math.round((now - moment) / 1000);
  if (seconds < 45) return trans.__("just now");
  if (seconds < 3_600) return trans.__("%1 min ago", String(Math.max(1, Math.round(seconds / 60))));
  return seconds < 86_400 ? trans.__("%1 h ago", String(Math.round(seconds / 3_600))) : trans.__("%1 d ago", String(Math.round(seconds / 86_400)));
}

export function length(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 1) return trans.__("%1 ms", String(Math.round(milliseconds)));
  if (seconds < 90) return trans.__("%1 s", seconds.toFixed(1));
  return seconds < 5400 ? trans.__("%1 min", String(Math.round(seconds / 60))) : trans.__("%1 h", (seconds / 3600).toFixed(1));
}

const MARKS: Record<string, [mark: string, tone: string, word: () => string]> = {
  FINISHED: ["✓", "mlp-good", () => trans.__("finished")],
  FAILED: ["✗", "mlp-bad", () => trans.__("failed")],
  KILLED: ["✗", "mlp-bad", () => trans.__("killed")],
  RUNNING: ["…", "mlp-quiet", () => trans.__("running")],
  SCHEDULED: ["…", "mlp-quiet", () => trans.__("scheduled")],
};

/** The mark of a run's status, and its word. */
export function mark(status: string): [mark: string, tone: string, word: string] {
  const [sign, tone, word] = MARKS[status] ?? ["?", "mlp-quiet", () => status.toLowerCase()];
  return [sign, tone, word()];
}
