// The view model that the kernel sends, and the little of anywidget's model that a card uses.

import type { Live } from "./kernel";
import type { Block } from "./runs_model";

export type Verdict = "pass" | "fail" | "not applicable";
export type Tone = "good" | "bad" | "plain";
export type Value = string | number | boolean | null;

export interface Version {
  version: string;
  aliases: string[];
  run: string;
  made: string;
  metrics: Record<string, number | null>;
  format: string;
}

export interface Comparison {
  metric: string;
  candidate: Value;
  champion: Value;
  better: boolean | null;
  /** Both were compared on the same rows, and the difference may be chance. */
  noise?: boolean;
}

/** What the evaluation found, and what differs between two versions. */
export interface Details {
  version: string;
  alias: string;
  holder: string;
  /** All of it; what a gate rests on carries its name. */
  blocks: (Block & { gate?: string })[];
  /** By gate, what is shown of it alone. */
  gates?: Record<string, Block[]>;
}

export interface Gate {
  name: string;
  verdict: Verdict;
  value: Value;
  threshold: Value;
  evidence: string;
}

export interface Move {
  when: string;
  who: string;
  what: string;
  reason: string;
}

export interface Message {
  tone: Tone;
  what: string;
  remedy: string;
}

export interface View {
  model: string;
  to: string;
  aliases: string[];
  holders: Record<string, string>;
  versions: Version[];
  selected: string;
  compare: Comparison[];
  gates: Gate[];
  history: Move[];
  details: Details | null;
  can: { promote: boolean; roll_back: boolean; approve?: boolean; comment?: boolean };
  why_not: string;
  message: Message | null;
  busy: boolean;
  /** The last click that the kernel has answered. */
  click: string;
}

export interface Model extends Live {
  /** What is said of an answer that takes long, where it is no kernel that gives it. */
  readonly slow?: { what: string; remedy: string };
  get(name: "state"): Partial<Omit<View, "versions">> | undefined;
  /** Beside the state: of hundreds they would be nearly all of each answer, and they seldom change. */
  get(name: "versions"): Version[] | undefined;
  get(name: "layout"): ReturnType<Live["get"]>;
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
  send(content: Request): void;
}

export interface Request {
  do: "select" | "details" | "promote" | "roll_back" | "approve" | "reject" | "comment" | "refresh" | "watch";
  click: string;
  version?: string;
  alias?: string;
  reason?: string;
}

const EMPTY: View = {
  model: "",
  to: "",
  aliases: [],
  holders: {},
  versions: [],
  selected: "",
  compare: [],
  gates: [],
  history: [],
  details: null,
  can: { promote: false, roll_back: false },
  why_not: "",
  message: null,
  busy: false,
  click: "",
};

/** Complete what the kernel sent; undefined while nothing has arrived yet. */
export function readView(model: Model): View | undefined {
  const state = model.get("state");
  if (state?.model === undefined) return undefined;
  return { ...EMPTY, ...state, versions: model.get("versions") ?? EMPTY.versions };
}
