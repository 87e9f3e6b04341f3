// The endpoint card: anywidget's entry. The kernel asks the endpoint; the page knows neither token nor journal.
//
// A question carries an id; an answer counts only while its question is the last of its kind.

import type { Answer, Field, Model, Question, Seen, Traffic, Tried } from "./deploy_model";
import { close, closed, fill, fresh, h, say, unseen } from "./dom";
import { bars, frame } from "./draw";
import { keepKeys, lost, mount } from "./kernel";
import { plural, shown } from "./shown";
import { copier, name } from "./text";

const EVERY = 5000; // ms between two looks, while somebody can see them
const SLOW = 8000; // ms without an answer, after which the card says what it waits for
const GONE = "The kernel is gone: what is here stays; run the cell again for more.";

// What computes, in a few words; why it does is in the result that the deploy shows.
function computing(engine: string): string {
  if (engine === "plan") return "a compiled plan";
  if (engine.startsWith("pyfunc: ")) return "the model itself, as MLflow loads it";
  return engine.startsWith("plan: ") ? "a plan, and the predictor itself" : `the ${engine || "pipeline"}`;
}

class Card {
  readonly element = h("div", { class: "mlops-magics-deploy mlp mlp-deploy", role: "group", "aria-label": "Endpoint" });
  private readonly status = h("div", { class: "mlp-status", role: "status" });
  private readonly head = h("div", { class: "mlp-title" });
  private readonly live = h("button", { type: "button", class: "mlp-press", "aria-pressed": "true" }, "Live");
  private readonly facts = h("dl", { class: "mlp-facts" });
  private readonly traffic = h("div", { class: "mlp-part" });
  private readonly form = h("form", { class: "mlp-form", "aria-label": "Try it", novalidate: true });
  private readonly send_ = h("button", { type: "submit", class: "mlp-press mlp-main" }, "Ask");
  private readonly answer = h("div", { class: "mlp-answer", role: "status" });
  private readonly wrong = h("p", { class: "mlp-wrong", id: fresh(), role: "alert" });
  private readonly snippets = h("div", { class: "mlp-part" });
  private inputs = new Map<string, HTMLInputElement | HTMLSelectElement>();
  private shape = ""; // of the form and of the snippets, which are made anew only where they differ
  private code = "";
  private asked = new Map<Question["ask"], string>();
  private clock = 0;
  private slow = 0;
  private heard = 0;
  private gone = false;

  constructor(
    private readonly model: Model,
    private readonly host: HTMLElement,
  ) {
    keepKeys(this.element);
    this.live.addEventListener("click", () => this.run(this.live.getAttribute("aria-pressed") !== "true"));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.attempt();
    });
    document.addEventListener("visibilitychange", this.seen);
    this.build();
    this.clock = window.setInterval(() => this.refresh(), EVERY);
  }

  /** The whole state came. */
  build = (): void => {
    const state = this.model.get("state");
    if (!state || !("name" in state)) {
      fill(this.element, h("div", { class: "mlp-head mlp-quiet" }, "Looking at the endpoint…"), this.status);
      return;
    }
    fill(
      this.element,
      h("div", { class: "mlp-head" }, this.head, this.live),
      h("div", { class: "mlp-part" }, this.facts, ...((state as Seen).said ?? []).map((words) => h("p", { class: "mlp-quiet mlp-said" }, name(words, 400)))),
      this.traffic,
      h("section", { class: "mlp-part", "aria-label": "Try it" }, h("strong", { role: "heading", "aria-level": "4" }, "Try it"), this.form, this.wrong, this.answer),
      this.snippets,
      this.status,
    );
    this.show(state as Seen);
  };

  /** The kernel went away or came back. */
  look = (): void => {
    this.gone = lost(this.model, this.host);
    this.element.toggleAttribute("data-gone", this.gone);
    close(this.send_, this.gone);
    close(this.live, this.gone);
    if (this.gone) this.tell(GONE);
    else if (this.status.textContent === GONE) this.tell("");
  };

  soon = (): void => {
    this.heard = window.setTimeout(this.look);
  };

  follow = (): void => {};

  hear = (content: unknown): void => {
    const answer = content as Answer;
    if (!answer || typeof answer.id !== "string") return;
    const kind = [...this.asked].find(([, id]) => id === answer.id)?.[0];
    if (!kind) return;
    this.asked.delete(kind);
    if (!this.asked.size) clearTimeout(this.slow);
    if (kind === "try") this.tried(answer);
    else if (answer.error) this.tell(`${answer.error.what} ${answer.error.remedy}`);
    else if (answer.seen) {
      this.tell("");
      this.show(answer.seen);
    }
  };

  stop(): void {
    clearInterval(this.clock);
    for (const timer of [this.heard, this.slow]) clearTimeout(timer);
    document.removeEventListener("visibilitychange", this.seen);
  }

  private seen = (): void => {
    if (document.visibilityState === "visible") this.refresh();
  };

  private run(on: boolean): void {
    if (closed(this.live)) return this.tell(GONE);
    this.live.setAttribute("aria-pressed", String(on));
    if (on) this.refresh();
  }

  /** Look again, where somebody sees it and nobody stopped it. */
  private refresh(): void {
    const wanted = this.live.getAttribute("aria-pressed") === "true" && document.visibilityState === "visible";
    if (wanted && !this.gone && this.element.offsetParent !== null && !this.asked.has("look")) this.ask({ ask: "look" });
  }

  private show(seen: Seen): void {
    this.element.setAttribute("aria-label", `Endpoint ${seen.name}`);
    const good = seen.status === "ready";
    fill(this.head, h("strong", { class: "mlp-name", role: "heading", "aria-level": "3" }, "Endpoint ", name(seen.name)), h("span", { class: good ? "mlp-good" : "mlp-bad" }, h("span", { "aria-hidden": "true" }, good ? "✓ " : "✗ "), seen.status), h("span", { class: "mlp-quiet" }, name(seen.model), ` version ${seen.version}`, seen.follows && `, follows ${seen.follows}`));
    const pairs: [string, string][] = [
      ["url", `${seen.url}/invocations`],
      ["beside it", seen.beside],
      ["computed by", computing(seen.engine)],
      ["token", seen.key_file && `in ${seen.key_file}`],
      ["certificate", seen.certificate],
      ["remark", seen.remark],
    ];
    fill(this.facts, ...pairs.filter(([, value]) => value).flatMap(([label, value]) => [h("dt", {}, label), h("dd", { class: label === "remark" ? "mlp-bad" : undefined }, name(value, 400))]));
    fill(this.traffic, ...(seen.traffic ? traffic(seen.traffic, seen) : [h("p", { class: "mlp-quiet" }, "It keeps no journal, so nothing is known of what came.")]));
    this.fields(seen);
    this.texts(seen.snippets);
  }

  /** Make the form anew where the model takes other columns; else what somebody has written in it stays. */
  private fields(seen: Seen): void {
    const shape = JSON.stringify([seen.fields, seen.more]);
    if (shape === this.shape) return;
    this.shape = shape;
    this.inputs = new Map(seen.fields.map((field) => [field.name, input(field)]));
    for (const control of this.inputs.values()) control.setAttribute("aria-describedby", this.wrong.id);
    const labels = seen.fields.map((field) => {
      const control = this.inputs.get(field.name) as HTMLElement;
      const id = fresh();
      control.id = id;
      return h("div", { class: "mlp-field" }, h("label", { for: id }, name(field.name, 40), h("span", {}, ` ${field.type}${field.required ? "" : ", may be empty"}`)), control);
    });
    const rest = seen.more ? h("p", { class: "mlp-quiet" }, `${plural(seen.more, "more column")} ${seen.more === 1 ? "is" : "are"} sent as in the example.`) : null;
    if (labels.length) fill(this.form, h("div", { class: "mlp-fields" }, ...labels), rest, h("div", {}, this.send_));
    else fill(this.form, h("p", { class: "mlp-quiet" }, seen.status === "ready" ? "The model names no columns: see the snippets of its documentation." : "The endpoint does not answer now."));
  }

  private texts(snippets: [string, string][]): void {
    const code = JSON.stringify(snippets);
    if (code === this.code) return;
    this.code = code;
    fill(
      this.snippets,
      ...snippets.map(([title, text]) =>
        h("details", { class: "mlp-snippet" }, h("summary", {}, title), h("pre", { class: "mlp-code", tabindex: "0", role: "region", "aria-label": `Code: ${title}` }, text), copier(text, title, (words) => this.tell(words))),
      ),
    );
  }

  private attempt(): void {
    if (closed(this.send_)) return this.tell(this.gone ? GONE : "");
    const values = Object.fromEntries([...this.inputs].map(([column, control]) => [column, control.value]));
    say(this.wrong, "");
    if (this.ask({ ask: "try", values })) close(this.send_, true);
  }

  private tried(answer: Answer): void {
    close(this.send_, this.gone);
    this.mark(answer.error?.what ?? "");
    if (answer.error) {
      fill(this.answer);
      return say(this.wrong, `${answer.error.what} ${answer.error.remedy}`);
    }
    if (answer.answer) fill(this.answer, ...told(answer.answer));
    this.refresh();
  }

  /** Mark the column that an error is about: the kernel begins with its name, the endpoint has it in brackets. */
  private mark(what: string): void {
    for (const [column, control] of this.inputs) {
      const here = what.startsWith(`${column} `) || what.includes(`(column '${column}'`);
      if (here) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
  }

  private ask(question: Question): boolean {
    const id = fresh();
    try {
      if (this.gone) throw new Error("gone");
      this.model.send({ ...question, id });
    } catch {
      this.gone = true; // there is no connection to send on
      close(this.send_, true);
      this.tell(GONE);
      return false;
    }
    this.asked.set(question.ask, id);
    clearTimeout(this.slow);
    this.slow = window.setTimeout(() => {
      this.asked.delete("look");
      this.tell("The kernel has not answered yet: it is busy with a cell, or it has stopped.");
    }, SLOW);
    return true;
  }

  private tell(text: string): void {
    say(this.status, text);
  }
}

function input(field: Field): HTMLInputElement | HTMLSelectElement {
  if (field.type === "boolean") {
    const options = [...(field.required ? [] : [""]), "true", "false"];
    return h("select", {}, ...options.map((value) => h("option", { value, selected: value === field.example }, value || "(empty)")));
  }
  const mode = field.type === "number" ? "decimal" : field.type === "integer" ? "numeric" : undefined;
  const made = h("input", { type: "text", inputmode: mode, autocomplete: "off", spellcheck: "false", required: field.required, placeholder: field.type === "date" ? "2026-01-01T00:00:00" : undefined });
  made.value = field.example;
  return made;
}

function told(tried: Tried): (HTMLElement | string)[] {
  const stages = tried.stages.map(([stage, ms]) => `${stage} ${ms}`).join(", ");
  return [
    h("strong", { class: "mlp-value" }, unseen("Prediction: "), tried.value === null ? "no value" : name(String(shown(tried.value)), 200)),
    h("span", { class: "mlp-quiet" }, `version ${tried.version}, ${tried.ms} ms there and back${stages ? ` (${stages})` : ""}, request `, name(tried.request)),
  ];
}

function traffic(found: Traffic, seen: Seen): (HTMLElement | null)[] {
  const minutes = Math.round(seen.window / 60);
  const refused = found.errors.reduce((sum, [, count]) => sum + count, 0);
  const rate = found.requests / seen.window;
  const often = rate < 0.2 ? "" : `${shown(Number(rate.toPrecision(2)))} a second`; // a rate of thousandths says nothing
  return [
    h(
      "div",
      { class: "mlp-rate" },
      h("strong", { role: "heading", "aria-level": "4" }, `The last ${plural(minutes, "minute")}`),
      h("span", {}, [plural(found.requests, "request"), often, plural(found.rows, "row")].filter(Boolean).join(", ")),
      h("span", { class: refused ? "mlp-bad" : "mlp-quiet" }, refused ? `${refused.toLocaleString("en-US")} refused` : "none refused"),
      drawing(found.counts),
    ),
    h(
      "div",
      { class: "mlp-tables" },
      found.stages.length ? table("Latency by stage", ["stage", "p50 ms", "p95 ms", "p99 ms"], found.stages) : null,
      found.roles.length ? table("Versions in service", ["version", "role", "rows"], found.roles) : null,
      found.errors.length ? table("Refused", ["refused with", "requests"], found.errors) : null,
      found.breaches.length ? table("Against the contract", ["column: rule", "requests"], found.breaches) : null,
    ),
  ];
}

function drawing(counts: number[]): HTMLElement {
  const holder = h("span", { class: "mlp-spark" });
  holder.append(frame(180, 24, bars(counts, 180, 24)));
  return holder;
}

function table(title: string, headings: string[], rows: (string | number)[][]): HTMLElement {
  const side = (at: number) => (rows.every((row) => typeof row[at] === "number") ? "mlp-number" : "");
  const cell = (value: string | number) => (typeof value === "number" ? shown(value) : name(value, 40));
  return h(
    "table",
    { "aria-label": title },
    h("thead", {}, h("tr", {}, ...headings.map((text, at) => h("th", { scope: "col", class: side(at) }, text)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((value, at) => (at ? h("td", { class: side(at) }, cell(value)) : h("th", { scope: "row" }, cell(value))))))),
  );
}

export function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return mount(new Card(model, el), model, el, "none");
}

export default { render };
