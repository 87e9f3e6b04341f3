// Values as a person reads them; the same rules as shown() in foundation/blocks.py.

import type { Value } from "./model";
import { trans } from "./words";

const DIGITS = 4;

export function shown(value: Value | undefined): string {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "boolean") return value ? trans.__("yes") : trans.__("no");
  return typeof value === "number" ? number(value) : value;
}

function number(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(DIGITS)));
}

/** The candidate's distance from the champion, with its sign. */
export function difference(candidate: Value, champion: Value): string {
  if (typeof candidate !== "number" || typeof champion !== "number") return "";
  const distance = candidate - champion;
  // Subtraction leaves dust (0.3 - 0.1): the distance has no more decimals than what is shown.
  const size = shown(Number(Math.abs(distance).toPrecision(3)));
  return Number(distance.toPrecision(3)) === 0 ? "±0" : `${distance > 0 ? "+" : "−"}${size}`;
}

/** A moment as the reader's own calendar writes it; what is no date stays as it is. */
export function day(moment: string, time = false): string {
  if (!/^\d{4}-\d\d-\d\d/.test(moment)) return moment;
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return moment;
  return date.toLocaleString(undefined, time ? { dateStyle: "medium", timeStyle: "short" } : { dateStyle: "medium" });
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}
