// The promotion card's other side, where no kernel is: what it asks is asked of the Jupyter server.

import type { Model, Request, Version, View } from "../cards/model";
import { type Rest, refused } from "./rest";
import { trans } from "../cards/words";

type Answer = Partial<View>;

const READS: Partial<Record<Request["do"], string>> = { select: "model", refresh: "model", watch: "model", details: "details" };

export class ServerDesk implements Model {
  /** Instead of what a card says of a kernel that does not answer. */
  readonly slow = { what: trans.__("The server has not answered yet."), remedy: trans.__("It may be reading the version's files.") };
  private state: Partial<Omit<View, "versions">> | undefined;
  private versions: Version[] | undefined;
  private readonly heard = new Map<string, Set<() => void>>();

  constructor(
    private readonly rest: Rest,
    private readonly model: string,
    private readonly moved: () => void,
  ) {}

  /** Read how the model stands; rejects with what is wrong. */
  async begin(): Promise<void> {
    this.take(await this.rest.read<Answer>("model", { model: this.model }), "");
  }

  get(name: "state"): Partial<Omit<View, "versions">> | undefined;
  get(name: "versions"): Version[] | undefined;
  get(name: "layout"): undefined;
  get(name: "state" | "versions" | "layout"): unknown {
    if (name === "layout") return undefined;
    return name === "state" ? this.state : this.versions;
  }

  on(event: string, listener: () => void): void {
    const listeners = this.heard.get(event) ?? new Set();
    this.heard.set(event, listeners.add(listener));
  }

  off(event: string, listener: () => void): void {
    this.heard.get(event)?.delete(listener);
  }

  send(request: Request): void {
    void this.asked(request);
  }

  private async asked({ do: act, click, version, alias, reason }: Request): Promise<void> {
    const words = { model: this.model, version: version ?? this.state?.selected ?? "", alias: alias ?? this.state?.to ?? "" };
    const read = READS[act];
    try {
      if (act === "watch") return this.watched(await this.rest.read<Answer>("model", words), click);
      const answer = read ? await this.rest.read<Answer>(read, words) : await this.rest.write<Answer>(act, { ...words, reason: reason ?? "" });
      this.take(act === "details" ? answer : { details: null, ...answer }, click);
      if (!read) this.moved();
    } catch (error) {
      const { what, remedy } = refused(error);
      this.take({ message: { tone: "bad", what, remedy } }, click);
    }
  }

  /** Say something only where the registry was changed elsewhere. */
  private watched(answer: Answer, click: string): void {
    const shown: Answer = { ...this.state, ...(this.versions && { versions: this.versions }) };
    const of_act = new Set(["message", "busy", "click", "details"]);
    const same = Object.entries(answer).every(([name, value]) => of_act.has(name) || JSON.stringify(value) === JSON.stringify(shown[name as keyof Answer]));
    const message = { tone: "plain" as const, what: trans.__("The registry was changed elsewhere."), remedy: trans.__("This is how it stands now.") };
    this.take(same ? {} : { ...answer, message }, click);
  }

  private take({ versions, ...answer }: Answer, click: string): void {
    if (versions) this.versions = versions;
    this.state = { ...this.state, ...answer, busy: false, click };
    for (const listener of this.heard.get("change:state") ?? []) listener();
  }
}
