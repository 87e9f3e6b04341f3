// What the kernel sends of a profile, as steps/profile/view.py and detail.py write it.

import type { Live } from "./kernel";

export type Cell = string | number | boolean | null;
/** A sentence in parts: a text is ours, a list of one is a name that somebody chose. */
export type Words = (string | [string])[];
export type Level = "high" | "medium" | "low";

export interface Alert {
  level: Level;
  what: Words;
  remedy: Words;
  columns: number[];
  code: string;
}

export interface Column {
  name: string;
  meaning: string;
  missing: number;
  distinct: number;
  about: boolean;
  mean: number | null;
  std: number | null;
  low: Cell;
  high: Cell;
  skill: number | null;
  /** 0 for no alert, 3 for one of high harm. */
  harm: number;
  bars?: number[];
  shares?: number[];
  top?: [value: string, share: number];
}

export interface Segment {
  what: Words;
  column: number | null;
  rows: number;
  share: number;
  value: number;
  low: number;
  high: number;
  difference: number;
  code: string;
}

export interface Change {
  column: number | null;
  name: string;
  status: string;
  distance: number | null;
  before: Cell;
  after: Cell;
  words: Words;
}

export type Pair = [left: number, right: number, measure: string, value: number];

export interface Overview {
  source: string;
  extent: string[];
  standing: { words: string; tone: string };
  target: { column: number | null; words: Words; rate: boolean; value: number } | null;
  alerts: Alert[];
  columns: Column[];
  segments: Segment[];
  pairs: Pair[];
  map: { columns: number[]; cells: (number | null)[] };
  patterns: { columns: number[]; more: number; patterns: { rows: number; share: number; gaps: number[] }[] };
  against: string | null;
  changes: Change[];
  head: { columns: number; rows: Cell[][] };
  notes: string[];
  code: [label: string, code: string][];
}

export interface Drawing {
  counts: number[];
  ticks: [low: string, high: string];
  words: string;
  target: { words: string; values: (number | null)[]; overall: number } | null;
}

export interface Detail {
  position: number;
  name: string;
  dtype: string;
  meaning: string;
  facts: [label: string, value: Cell][];
  quantiles: [share: string, value: number | null][];
  drawing: Drawing | null;
  levels: [value: Cell, count: number, share: number, target?: number | null][];
  pairs: [column: number, measure: string, value: number][];
  notes: string[];
  code: [label: string, code: string][];
}

/** What the kernel answers; `id` is the question's. */
export interface Answer {
  id: string;
  detail?: Detail;
  error?: { what: string; remedy: string };
}

export interface Model extends Live {
  get(name: "state"): Overview | Record<string, never> | undefined;
  /** The position of the column that the kernel looks at; -1 for none. */
  get(name: "place"): number | null | undefined;
  get(name: "layout"): ReturnType<Live["get"]>;
  on(event: string, listener: (content: unknown) => void): void;
  off(event: string, listener: (content: unknown) => void): void;
  send(content: { ask: "column"; column: number; id: string }): void;
}
