// The side panel: four sections behind tabs, one search box, one line that says how things went.
//
// It is live: while somebody can see it, it asks every few seconds for a stamp of a few characters, and reads what it
// shows only where that has changed.

import { fill, fresh, h, say } from "../cards/dom";
import { Alerts } from "./alerts";
import { Endpoints } from "./endpoints";
import { Models } from "./models";
import { button, type Host, renewed, type Section, type SectionName, trouble } from "./parts";
import { type Rest, refused } from "./rest";
import { Runs } from "./runs";
import { trans } from "../cards/words";

export interface Standing {
  store: string | null;
  experiment: string | null;
  waiting: number;
  next: string[];
  /** The stages of the road, each with the line that does it. */
  road?: { verb: string; done: boolean; line: string; why: string }[];
  alerts: number;
  /** The release on the server's side. */
  version?: string;
}

declare const LAB_VERSION: string; // the release that this was built for

type Outside = Pick<Host, "insert" | "openNotebook" | "newNotebook" | "openMlflow">;

const TITLES: Record<SectionName, () => string> = {
  runs: () => trans.__("Runs"),
  models: () => trans.__("Models"),
  endpoints: () => trans.__("Endpoints"),
  alerts: () => trans.__("Alerts"),
};
const NAME = "MLOps"; // a name: it is not translated
const TYPING = 250; // ms after the last key before the search is asked

export class Panel implements Host {
  readonly element: HTMLElement;
  private readonly id = fresh();
  private readonly store = h("span", { class: "mlp-quiet mlp-store" });
  private readonly search = h("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  private readonly status = h("div", { class: "mlp-status", role: "status" });
  private readonly wrong = h("div", {});
  private readonly room: HTMLElement;
  private readonly next = h("div", { class: "mlp-next" });
  private readonly sections: Record<SectionName, Section>;
  private readonly tabs = new Map<SectionName, { button: HTMLElement; count: HTMLElement; panel: HTMLElement }>();
  private current: SectionName = "runs";
  private at = "";
  private stamp = "";
  private visible = false;
  private timer = 0;
  private typing = 0;
  private turn = 0;
  private due: Promise<void> | undefined; // a reading that begins when this turn of the page is over
  private reading: Promise<void> | undefined;
  private seconds = 5;
  private inserted = ""; // what was said of the last line that was put into the notebook
  private road: NonNullable<Standing["road"]> = [];

  constructor(
    readonly rest: Rest,
    private readonly outside: Outside,
    private readonly stood: (standing: Standing | null) => void,
  ) {
    this.sections = { runs: new Runs(this), models: new Models(this), endpoints: new Endpoints(this), alerts: new Alerts(this) };
    const list = h("div", { role: "tablist", class: "mlp-tabs", "aria-label": trans.__("Parts of the panel") });
    const panels = (Object.keys(TITLES) as SectionName[]).map((name) => this.tab(name, list));
    list.addEventListener("keydown", (event) => this.steer(event));
    this.room = h("div", { class: "mlp-room" }, this.wrong, ...panels);
    this.element = h(
      "div",
      { class: "mlp mlp-lab", role: "region", "aria-label": NAME },
      h("div", { class: "mlp-head" }, h("div", { class: "mlp-title" }, h("strong", { class: "mlp-name", role: "heading", "aria-level": "2" }, NAME), this.store), this.tools()),
      list,
      h("div", { class: "mlp-search" }, this.search),
      this.room,
      this.next,
      this.status,
    );
    this.search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = window.setTimeout(() => void this.refresh(), TYPING);
    });
    this.search.addEventListener("keydown", (event) => {
      const first = this.tabs.get(this.current)?.panel.querySelector<HTMLElement>('[role="option"][tabindex="0"]');
      if (event.key !== "ArrowDown" || !first) return;
      event.preventDefault();
      first.focus();
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.show(this.current);
    });
    document.addEventListener("visibilitychange", () => this.watch());
    this.choose("runs");
  }

  async insert(code: string): Promise<string> {
    this.inserted = await this.outside.insert(code);
    return this.inserted;
  }

  openNotebook(path: string): Promise<void> {
    return this.outside.openNotebook(path);
  }

  newNotebook(): Promise<void> {
    return this.outside.newNotebook();
  }

  openMlflow(): Promise<void> {
    return this.outside.openMlflow();
  }

  lines(verbs: string[], ...otherwise: string[]): string[] {
    const left = this.road.filter(({ verb, done }) => verbs.includes(verb) && !done).map(({ line }) => line);
    return left.length ? left : otherwise;
  }

  /** How often a stamp is asked for; 0 for never. */
  every(seconds: number): void {
    this.seconds = seconds;
    this.watch();
  }

  /** Somebody can see it now, or no longer. */
  seen(visible: boolean): void {
    this.visible = visible;
    this.watch();
    if (visible) void this.look();
  }

  show(section: SectionName, key = ""): void {
    const held = this.room.contains(document.activeElement);
    if (section !== this.current) this.choose(section);
    this.sections[section].open(key, held);
    void this.refresh();
  }

  tell(tone: "good" | "bad" | "plain", what: string, remedy = ""): void {
    this.status.className = `mlp-status mlp-tone-${tone}`;
    fill(this.status, h("span", {}, what), remedy ? h("span", {}, remedy) : null);
  }

  /** A cell was executed: what it changed is shown now, not at the next look. */
  ran(): void {
    void (this.visible ? this.look() : this.standing().catch(() => undefined));
  }

  again(): void {
    void this.refresh();
  }

  /** Another notebook is worked in: where it belongs to another project, that one is shown. */
  moved(): void {
    if (this.rest.at() === this.at) return;
    this.stamp = "";
    for (const section of Object.values(this.sections)) {
      section.open("", false); // what is open there is another project's
      section.leave?.();
    }
    if (this.visible) void this.refresh();
    else void this.standing().catch(() => undefined); // the item in the status bar goes
  }

  /** Read what is shown now; all who want it in the same turn of the page share one reading. */
  refresh(): Promise<void> {
    return (this.due ??= Promise.resolve().then(() => {
      this.due = undefined;
      const reading = this.read().finally(() => {
        if (this.reading === reading) this.reading = undefined;
      });
      return (this.reading = reading);
    }));
  }

  /** Of several readings only the last one is shown. What somebody looks at comes first, the head after it. */
  private async read(): Promise<void> {
    const turn = ++this.turn;
    const { element } = this.sections[this.current];
    const reading = trans.__("Reading the store…");
    const wrong: unknown[] = [];
    this.at = this.rest.at();
    this.rest.stamps.clear();
    element.setAttribute("aria-busy", "true");
    if (!element.textContent) this.tell("plain", reading);
    await this.sections[this.current].refresh(this.search.value.trim()).catch((error: unknown) => wrong.push(error));
    element.setAttribute("aria-busy", "false");
    if (turn !== this.turn) return;
    if (this.status.textContent === reading) fill(this.status);
    if (wrong.length) this.complain(wrong[0]);
    const road = JSON.stringify(this.road);
    await this.standing().catch((error: unknown) => wrong.push(error));
    if (turn !== this.turn) return;
    this.complain(wrong[0]);
    if (road !== JSON.stringify(this.road) && element.querySelector(".mlp-lesson")) return this.refresh(); // its lines are others now
    // Answers that were read at different moments are no picture of one: they are read again.
    if (this.rest.stamps.size) this.stamp = this.rest.stamps.size === 1 && !wrong.length ? ([...this.rest.stamps][0] ?? "") : "";
  }

  /** Say what is wrong, once: what is said already stays as it is, with the focus. */
  private complain(error: unknown): void {
    const told = error === undefined ? undefined : refused(error);
    const words = told ? `${told.what}\n${told.remedy}` : "";
    if ((this.wrong.dataset["shown"] ?? "") === words) return;
    this.wrong.dataset["shown"] = words;
    if (!renewed(this.wrong, () => fill(this.wrong, told && trouble(told, () => void this.refresh())))) this.search.focus();
  }

  /** Read how things stand, for the head of the panel and for the status bar. */
  async standing(): Promise<void> {
    this.at = this.rest.at();
    try {
      const standing = await this.rest.read<Standing>("status");
      this.head(standing);
      this.stood(standing);
    } catch (error) {
      this.stood(null);
      throw error;
    }
  }

  private tools(): HTMLElement {
    const mlflow = trans.__("Open MLflow's own pages in a tab");
    return h(
      "div",
      { class: "mlp-tools" },
      button("MLflow", () => this.openMlflow().catch((error: unknown) => this.failed(error)), "mlp-copy", { "aria-label": mlflow, title: mlflow }),
      button("↻", () => this.refresh(), "mlp-icon", { "aria-label": trans.__("Refresh"), title: trans.__("Refresh") }),
    );
  }

  failed(error: unknown): void {
    const { what, remedy } = refused(error);
    this.tell("bad", what, remedy);
  }

  private tab(name: SectionName, list: HTMLElement): HTMLElement {
    const count = h("span", { class: "mlp-badge-count" });
    const made = h("button", { type: "button", role: "tab", id: `${this.id}-${name}`, "aria-controls": `${this.id}-${name}-panel` }, TITLES[name](), count);
    const panel = h("div", { role: "tabpanel", id: `${this.id}-${name}-panel`, "aria-labelledby": `${this.id}-${name}` }, this.sections[name].element);
    made.addEventListener("click", () => this.show(name));
    list.append(made);
    this.tabs.set(name, { button: made, count, panel });
    return panel;
  }

  private choose(section: SectionName): void {
    this.current = section;
    for (const [name, { button: tab, panel }] of this.tabs) {
      tab.setAttribute("aria-selected", String(name === section));
      tab.tabIndex = name === section ? 0 : -1;
      panel.hidden = name !== section;
    }
    this.search.value = "";
    this.search.placeholder = this.sections[section].hint;
    this.search.setAttribute("aria-label", this.sections[section].hint);
    this.complain(undefined);
  }

  private steer(event: KeyboardEvent): void {
    const names = [...this.tabs.keys()];
    const at = names.indexOf(this.current);
    const last = names.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    const name = to === undefined ? undefined : names[to];
    if (!name) return;
    event.preventDefault();
    this.show(name);
    this.tabs.get(name)?.button.focus();
  }

  private head({ store, waiting, next, alerts, version = LAB_VERSION, road = [] }: Standing): void {
    this.road = road;
    if (version !== LAB_VERSION) {
      const what = trans.__("The panel is of release %1, the server's side of %2.", LAB_VERSION, version);
      this.tell("bad", what, trans.__("Start JupyterLab again, and reload the page."));
    }
    say(this.store, [store ?? trans.__("no store yet"), waiting ? trans.__("%1 waiting", String(waiting)) : ""].filter(Boolean).join(" · "));
    const tab = this.tabs.get("alerts");
    if (tab) {
      say(tab.count, alerts ? String(alerts) : "");
      tab.button.setAttribute("aria-label", alerts ? trans.__("Alerts, %1", String(alerts)) : trans.__("Alerts"));
    }
    const [only] = store === null ? [] : next;
    if (this.next.dataset["shown"] === (only ?? "")) return;
    this.next.dataset["shown"] = only ?? "";
    if (this.inserted && this.status.textContent === this.inserted) fill(this.status); // that line was run since
    const why = road.find(({ line }) => line === only)?.why;
    const put = button(trans.__("Insert"), async () => this.tell("good", await this.insert(only ?? "")), "mlp-copy", { "aria-label": trans.__("Insert the next command") });
    const line = h("div", { class: "mlp-next-line" }, h("span", { class: "mlp-quiet" }, trans.__("Next") + " "), h("code", {}, only ?? ""), ...(only?.startsWith("%") ? [put] : []));
    const lines = only ? [line, ...(why ? [h("p", { class: "mlp-quiet" }, why)] : [])] : [];
    if (!renewed(this.next, () => fill(this.next, ...lines))) this.search.focus();
  }

  private watch(): void {
    clearInterval(this.timer);
    this.timer = 0;
    if (this.visible && !document.hidden && this.seconds > 0) this.timer = window.setInterval(() => void this.look(), this.seconds * 1000);
  }

  /** Ask for the stamp, and read again only where it is another one. A server that is away is asked again later. */
  private async look(): Promise<void> {
    // Where nothing is known yet a stamp says nothing: to ask for it first would only take its time.
    if (!this.stamp && !this.wrong.firstChild) return this.due ?? this.reading ?? this.refresh();
    let stamp = "";
    try {
      stamp = (await this.rest.read<{ stamp: string }>("stamp")).stamp;
    } catch {
      if (this.wrong.firstChild) return; // it is said already
    }
    await (this.due ?? this.reading); // what is being read may be under that stamp
    if (stamp && stamp === this.stamp) return;
    this.stamp = stamp;
    await this.refresh();
  }
}
