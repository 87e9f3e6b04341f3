// What the kernel sends of an experiment's runs, as steps/track/view.py and lines.py write it.

import type { Live } from "./kernel";

export type Value = string | number | null;

export interface Column {
  key: string;
  name: string;
  differs: boolean;
  /** Whether more is better; null where the name does not say. */
  better: boolean | null;
}

export interface View {
  filter: string;
  brush: string;
  sort: string;
  up: boolean;
  columns: string[];
}

export type Origin = [model: string, version: string, aliases: string[]];
export type Row = [id: string, name: string, status: string, started: number, seconds: number | null, origins: Origin[], cells: Value[]];

export interface Rows {
  first: number;
  count: number;
  total: number;
  more: boolean;
  code: string;
  best: Record<string, number>;
  same: string[];
  rows: Row[];
}

export interface Overview {
  experiment: string;
  waiting: number;
  columns: Column[];
  view: Omit<View, "brush">;
  answer: Rows;
}

export interface Axis {
  key: string;
  title: string;
  low: number;
  high: number;
  log: boolean;
  /** Of an axis of texts: each as it is written in a filter, and as it is shown. */
  levels: [text: string, shown: string][] | null;
  values: (number | null)[];
  /** The rank correlation with the metric that gives the colour. */
  goes?: number | null;
}

export interface Lines {
  axes: Axis[];
  colour: string | null;
  colours: string[];
  runs: [id: string, name: string][];
  count: number;
  left_out: string[];
  words: string;
}

export type Block =
  | { kind: "title"; text: string; note: string }
  | { kind: "facts"; pairs: [string, string][] }
  | { kind: "table"; headings: string[]; rows: Value[][] }
  | { kind: "code"; lines: string[] }
  | { kind: "note"; text: string };

export type Question =
  | ({ ask: "rows"; first: number } & View)
  | ({ ask: "lines"; colour: string | null } & View)
  | { ask: "select" | "compare"; runs: string[] }
  | { ask: "refresh" | "more" };

/** What the kernel answers; `id` is the question's. */
export interface Answer {
  id: string;
  rows?: Rows;
  lines?: Lines;
  code?: string;
  comparison?: Block[];
  refreshed?: boolean;
  error?: { what: string; remedy: string };
}

export interface Model extends Live {
  get(name: "state"): Overview | Record<string, never> | undefined;
  get(name: "selected"): string[] | undefined;
  get(name: "layout"): ReturnType<Live["get"]>;
  on(event: string, listener: (content: unknown) => void): void;
  off(event: string, listener: (content: unknown) => void): void;
  send(content: Question & { id: string }): void;
}
