// The decision: which alias, why, promote or roll back; and the words about how it went.

import { close, closed, fill, fresh, h, say } from "./dom";
import type { Message, View } from "./model";
import { trans } from "./words";

export interface Standing {
  view: View;
  chosen: string;
  /** What the card waits for, in words; "" when nothing. */
  waiting: string;
  /** An alias is being moved right now. */
  acting: boolean;
  gone: boolean;
}

type Word = "approve" | "reject" | "comment";

interface Acts {
  promote(alias: string, reason: string): void;
  rollBack(alias: string, reason: string): void;
  speak(word: Word, reason: string): void;
}

const LONGEST = 2000; // characters of a reason, as in the kernel

export class Action {
  readonly element: HTMLElement;
  private readonly id = fresh();
  private readonly alias = h("select", { id: `${this.id}-alias` });
  private readonly reason = h("textarea", {
    id: `${this.id}-reason`,
    rows: "2",
    maxlength: String(LONGEST),
    required: true,
    placeholder: trans.__("Why this version, and why now? It is kept in the history."),
    "aria-describedby": `${this.id}-hint`,
  });
  private readonly confirm = h("button", { type: "button", class: "mlp-main", "aria-describedby": `${this.id}-hint` });
  private readonly approve = h("button", { type: "button", class: "mlp-plain", "aria-describedby": `${this.id}-hint` });
  private readonly reject = h("button", { type: "button", class: "mlp-plain", "aria-describedby": `${this.id}-hint` });
  private readonly remark = h("button", { type: "button", class: "mlp-plain", "aria-describedby": `${this.id}-hint` });
  private readonly back = h("button", { type: "button", class: "mlp-plain" }, trans.__("Roll back…"));
  private readonly sure = h("button", { type: "button", class: "mlp-plain mlp-danger" });
  private readonly keep = h("button", { type: "button", class: "mlp-plain" }, trans.__("Keep it"));
  private readonly asking = h("span", { class: "mlp-ask", role: "group", hidden: true }, this.sure, this.keep);
  private readonly hint = h("span", { id: `${this.id}-hint`, class: "mlp-hint" });
  private now: Standing | undefined;
  private picked = "";

  constructor(private readonly acts: Acts) {
    this.element = h(
      "div",
      { class: "mlp-action" },
      h("div", { class: "mlp-field mlp-field-alias" }, h("label", { for: `${this.id}-alias` }, trans.__("Alias")), this.alias),
      h("div", { class: "mlp-field" }, h("label", { for: `${this.id}-reason` }, trans.__("Reason")), this.reason),
      h("div", { class: "mlp-buttons" }, this.confirm, this.back, this.asking, this.approve, this.reject, this.remark, this.hint),
    );
    this.alias.addEventListener("change", () => {
      this.picked = this.alias.value;
      this.element.dispatchEvent(new Event("mlp-alias"));
    });
    this.reason.addEventListener("input", () => this.show());
    this.reason.addEventListener("keydown", (event) => {
      // Enter that ends a composition (Japanese, Chinese) belongs to the composition.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        if (this.asking.hidden) this.promote();
        else this.sure.focus(); // taking back is never one key away
      }
    });
    this.confirm.addEventListener("click", () => this.promote());
    this.approve.addEventListener("click", () => this.speak("approve"));
    this.reject.addEventListener("click", () => this.speak("reject"));
    this.remark.addEventListener("click", () => this.speak("comment"));
    this.back.addEventListener("click", () => !closed(this.back) && this.ask(true));
    this.keep.addEventListener("click", () => this.ask(false));
    this.sure.addEventListener("click", () => this.rollBack());
    this.asking.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.ask(false);
    });
  }

  /** The alias that the next press is about. */
  target(view: View): string {
    return view.aliases.includes(this.picked) ? this.picked : view.to;
  }

  update(standing: Standing): void {
    const { view, gone, acting } = standing;
    this.now = standing;
    const choices = view.aliases.includes(view.to) || !view.to ? view.aliases : [view.to, ...view.aliases];
    if ([...this.alias.options].map((option) => option.value).join("\n") !== choices.join("\n")) {
      fill(this.alias, ...choices.map((alias) => h("option", { value: alias }, alias)));
    }
    this.alias.value = this.target(view);
    this.alias.disabled = gone;
    this.reason.disabled = gone;
    this.reason.readOnly = acting; // what is being done keeps its reason
    this.show();
  }

  /** The reason has been used: the next act wants its own. */
  clear(): void {
    this.reason.value = "";
    if (!this.asking.hidden) this.ask(false);
  }

  private show(): void {
    if (!this.now) return;
    const { view, chosen } = this.now;
    const alias = this.target(view);
    say(this.confirm, chosen ? trans.__("Promote v%1 to %2", chosen, alias) : trans.__("Promote"));
    const holder = view.holders[alias];
    say(this.sure, trans.__("Yes, take %1 back from v%2", alias, holder ?? "?"));
    this.asking.setAttribute("aria-label", trans.__("Roll back %1?", alias));
    const no = this.refusal(alias);
    close(this.confirm, no !== null);
    const stuck = this.stuck() !== null || !view.can.roll_back || !holder;
    if (stuck && !this.asking.hidden && this.stuck() === null) this.asking.hidden = true; // nothing left to ask
    close(this.back, stuck);
    close(this.sure, stuck || this.unsaid() !== null);
    this.confirm.hidden = !this.asking.hidden;
    const words: [HTMLButtonElement, string, boolean | undefined][] = [
      [this.approve, trans.__("Approve v%1", chosen), view.can.approve],
      [this.reject, trans.__("Send v%1 back", chosen), view.can.approve],
      [this.remark, trans.__("Comment"), view.can.comment],
    ];
    for (const [button, text, may] of words) {
      say(button, text);
      button.hidden = !this.asking.hidden || !chosen || may !== true;
      close(button, this.stuck() !== null || this.unsaid() !== null);
    }
    this.approve.className = view.can.promote ? "mlp-plain" : "mlp-main"; // what the one who looks is here for
    this.back.hidden = !this.asking.hidden || !(view.can.roll_back && holder);
    const hint = this.asking.hidden ? no : (this.stuck() ?? this.unsaid() ?? { tone: "plain", what: "" });
    say(this.hint, hint?.what ?? trans.__("Enter promotes; Shift+Enter starts a new line."));
    this.hint.className = `mlp-hint mlp-${hint?.tone === "bad" ? "bad" : "quiet"}`;
  }

  /** Why nothing at all can be pressed now. */
  private stuck(): Pick<Message, "tone" | "what"> | null {
    if (this.now?.gone) return { tone: "plain", what: "" }; // the card's status says it
    if (this.now?.waiting) return { tone: "plain", what: this.now.waiting };
    return null;
  }

  private refusal(alias: string): Pick<Message, "tone" | "what"> | null {
    if (!this.now) return { tone: "plain", what: "" };
    const { view, chosen } = this.now;
    const stuck = this.stuck();
    if (stuck) return stuck;
    if (!chosen) return { tone: "plain", what: trans.__("Choose a version.") };
    if (view.holders[alias] === chosen) return { tone: "plain", what: trans.__("v%1 holds %2 already.", chosen, alias) };
    if (!view.can.promote) return { tone: "bad", what: view.why_not || trans.__("This version cannot be promoted.") };
    return this.unsaid();
  }

  private unsaid(): Pick<Message, "tone" | "what"> | null {
    return this.reason.value.trim() ? null : { tone: "plain", what: trans.__("Write a reason.") };
  }

  private promote(): void {
    if (!this.now) return;
    if (closed(this.confirm)) {
      // The press is answered where the missing thing goes.
      if (!this.reason.value.trim() && !this.stuck()) this.reason.focus();
      return;
    }
    this.acts.promote(this.target(this.now.view), this.reason.value.trim());
  }

  private speak(word: Word): void {
    if (!closed(this.remark)) this.acts.speak(word, this.reason.value.trim());
    else if (!this.stuck()) this.reason.focus();
  }

  private rollBack(): void {
    if (!this.now) return;
    if (!closed(this.sure)) this.acts.rollBack(this.target(this.now.view), this.reason.value.trim());
    else if (!this.stuck()) this.reason.focus();
  }

  private ask(asking: boolean): void {
    this.asking.hidden = !asking;
    this.show();
    if (asking) (closed(this.sure) ? this.keep : this.sure).focus();
    else if (!this.back.hidden) this.back.focus();
  }
}
