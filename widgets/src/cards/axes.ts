// Where a value lies on an axis of the parallel coordinates, and what stands beside it.

import { round } from "./draw";
import type { Axis } from "./runs_model";
import { shown } from "./shown";

export const HIGH = 232;
export const TOP = 34; // above it the titles
const FOOT = 14;
const LABELS = 9; // texts beside an axis
const ROOMY = 7; // axes up to which each says its middle too

export type Range = [low: number, high: number]; // parts of the axis, 0 below and 1 above

export function part(axis: Axis, value: number): number {
  const { low, high, log } = axis;
  if (high === low) return 0.5;
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

/** The value at a part of the axis, short enough to be read in a filter; of whole numbers one within the range. */
export function edge(axis: Axis, at: number, end?: 0 | 1): string {
  const { low, high, log } = axis;
  const value = log ? low * (high / low) ** at : low + at * (high - low);
  if (whole(axis)) return String(end === undefined ? Math.round(value) : end ? Math.floor(value + 1e-9) : Math.ceil(value - 1e-9));
  return String(Number(value.toPrecision(Math.abs(value) >= 1e4 ? 6 : 4)));
}

function whole(axis: Axis): boolean {
  return Number.isInteger(axis.low) && Number.isInteger(axis.high) && axis.values.every((value) => value === null || Number.isInteger(value));
}

export function inside(axis: Axis, [low, high]: Range): [string, string][] {
  return (axis.levels ?? []).filter((_, at) => part(axis, at) >= low && part(axis, at) <= high);
}

export function y(at: number): number {
  return round(HIGH - FOOT - at * (HIGH - TOP - FOOT));
}

export function share(at: number): number {
  return Math.min(1, Math.max(0, (HIGH - FOOT - at) / (HIGH - TOP - FOOT)));
}

export function labels(axis: Axis, axes: number): [where: number, text: string][] {
  if (axis.levels) {
    const every = Math.ceil(axis.levels.length / LABELS);
    return axis.levels.flatMap(([, text], at) => (at % every ? [] : [[part(axis, at), text] as [number, string]]));
  }
  if (axis.low === axis.high) return [[0.5, shown(axis.low)]];
  const between = axes > ROOMY ? [] : [Number(edge(axis, 0.5))];
  return [axis.low, ...between, axis.high].map((value) => [part(axis, value), shown(value)]);
}
