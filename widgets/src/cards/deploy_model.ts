// What the kernel sends of an endpoint, as steps/deploy/watch.py writes it.

import type { Live } from "./kernel";

export type Value = string | number | boolean | null;

export interface Field {
  name: string;
  type: "number" | "integer" | "boolean" | "string" | "date";
  required: boolean;
  example: string;
}

export interface Traffic {
  requests: number;
  rows: number;
  errors: [code: string, count: number][];
  breaches: [rule: string, count: number][];
  stages: [stage: string, p50: number, p95: number, p99: number][];
  roles: [version: string, role: string, rows: number][];
  counts: number[];
}

export interface Seen {
  name: string;
  model: string;
  version: string;
  status: string;
  url: string;
  workers: number;
  engine: string;
  follows: string;
  remark: string;
  beside: string;
  key_file: string;
  certificate: string;
  traffic: Traffic | null;
  window: number;
  fields: Field[];
  more: number;
  snippets: [title: string, text: string][];
  said?: string[]; // of the deploy itself, so only in the first state: what to know, and the line that takes it back
}

export interface Tried {
  value: Value;
  version: string;
  request: string;
  ms: number;
  stages: [stage: string, ms: number][];
}

export type Question = { ask: "look" } | { ask: "try"; values: Record<string, string> };

export interface Answer {
  id: string;
  seen?: Seen;
  answer?: Tried;
  error?: { what: string; remedy: string };
}

/** The part of anywidget's model that the card uses. */
export interface Model extends Live {
  get(name: "layout"): { comm_live?: boolean } | undefined;
  get(name: "state"): Seen | Record<string, never> | undefined;
  on(event: string, listener: (content: unknown) => void): void;
  off(event: string, listener: (content: unknown) => void): void;
  send(content: unknown): void;
}
