// One column in detail: what the kernel answered when it was asked.

import { fill, h } from "./dom";
import { bars, frame, round, shares, svg } from "./draw";
import type { Column, Detail, Drawing, Overview } from "./profile_model";
import { shown } from "./shown";
import { copier, name, percent, strength, whole, words } from "./text";

const WIDE = 640;
const HIGH = 110;

export class ColumnPane {
  readonly element = h("div", { class: "mlp-detail", role: "group", "aria-label": "Column in detail" });

  constructor(
    private readonly view: Overview,
    private readonly go: (column: number) => void,
    private readonly say: (text: string) => void,
  ) {
    this.element.hidden = true;
  }

  close(): void {
    this.element.hidden = true;
    fill(this.element);
  }

  /** What is known before the kernel has answered, or without it. */
  wait(at: number, note: string): void {
    const column = this.view.columns[at];
    if (!column) return;
    this.element.hidden = false;
    this.element.setAttribute("aria-busy", "true");
    fill(this.element, this.head(column.name, column.meaning, at), h("p", { class: "mlp-quiet" }, note));
  }

  show(detail: Detail): void {
    this.element.hidden = false;
    this.element.setAttribute("aria-busy", "false");
    const column = this.view.columns[detail.position];
    fill(
      this.element,
      this.head(detail.name, `${detail.dtype} · ${detail.meaning}`, detail.position),
      h(
        "div",
        { class: "mlp-parts" },
        h("dl", { class: "mlp-facts" }, ...detail.facts.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, whole(value))])),
        h("div", { class: "mlp-main-part" }, detail.drawing && this.histogram(detail.drawing), quantiles(detail), this.levels(detail, column)),
        this.pairs(detail),
      ),
      ...detail.notes.map((note) => h("p", { class: "mlp-quiet" }, note)),
      h("div", { class: "mlp-codes" }, ...detail.code.map(([label, code]) => h("div", { class: "mlp-code" }, copier(code, label, this.say), h("code", { dir: "ltr" }, code)))),
    );
  }

  private head(title: string, about: string, at: number): HTMLElement {
    const alerts = this.view.alerts.filter((alert) => alert.columns.slice(0, 2).includes(at));
    return h(
      "div",
      {},
      h("div", { class: "mlp-heading" }, h("strong", { role: "heading", "aria-level": "4" }, whole(title)), h("span", { class: "mlp-quiet" }, about)),
      ...alerts.map((alert) => h("p", { class: `mlp-about mlp-level-${alert.level}` }, ...words(alert.what))),
    );
  }

  private histogram(drawing: Drawing): HTMLElement {
    const line = drawing.target ? this.target(drawing) : null;
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": drawing.words, class: "mlp-histogram" },
      bars(drawing.counts, WIDE, HIGH),
      ...(line ? line.parts : []),
    );
    const ends = h("div", { class: "mlp-ends" }, h("span", {}, drawing.ticks[0]), h("span", {}, drawing.ticks[1]));
    const key = line && h("figcaption", { class: "mlp-key" }, line.words);
    const axis = line && h("div", { class: "mlp-axis mlp-quiet" }, h("span", {}, line.high), h("span", {}, line.low));
    return h("figure", {}, h("div", { class: "mlp-plot" }, h("div", { class: "mlp-picture" }, picture, ends), axis), key);
  }

  /** The target's mean or rate in each bin, as a line with an axis of its own; all rows as a dashed one. */
  private target(drawing: Drawing): { parts: SVGElement[]; words: string; low: string; high: string } | null {
    const target = drawing.target;
    const known = target ? target.values.filter((value) => value !== null) : [];
    if (!target || !known.length) return null;
    const low = Math.min(...known, target.overall);
    const high = Math.max(...known, target.overall);
    const y = (value: number) => round(HIGH - 3 - ((value - low) / (high - low || 1)) * (HIGH - 6));
    const step = WIDE / target.values.length;
    let pen = "M";
    const path = target.values.map((value, at) => {
      if (value === null) return ((pen = "M"), "");
      const point = `${pen}${round((at + 0.5) * step)} ${y(value)}h0`;
      pen = "L";
      return point;
    });
    const still = { "vector-effect": "non-scaling-stroke" };
    return {
      parts: [
        svg("path", { class: "mlp-rule", "stroke-dasharray": "4 4", d: `M0 ${y(target.overall)}H${WIDE}`, ...still }),
        svg("path", { class: "mlp-line", d: path.join(""), ...still }),
      ],
      words: `${target.words} in each bin; ${this.amount(target.overall)} in all`,
      low: this.amount(low),
      high: this.amount(high),
    };
  }

  private amount(value: number): string {
    return this.view.target?.rate ? percent(value) : shown(value);
  }

  private levels(detail: Detail, column: Column | undefined): HTMLElement | null {
    const first = detail.levels[0];
    if (!first || (column?.bars && detail.drawing && first[2] < 0.02)) return null; // no value stands out
    const aimed = detail.levels.some((level) => typeof level[3] === "number");
    return h(
      "table",
      { "aria-label": "Most frequent values" },
      h("thead", {}, h("tr", {}, ...["Most frequent", "Rows", "Share", ...(aimed ? ["Target"] : [])].map((text, at) => h("th", { scope: "col", class: at ? "mlp-number" : "" }, text)))),
      h(
        "tbody",
        {},
        ...detail.levels.map(([value, count, share, target]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, whole(value, 40)),
            h("td", { class: "mlp-number" }, shown(count)),
            h("td", { class: "mlp-number mlp-share" }, frame(48, 10, ...shares([share], 48, 10)), h("span", {}, percent(share))),
            aimed && h("td", { class: "mlp-number" }, typeof target === "number" ? this.amount(target) : ""),
          ),
        ),
      ),
    );
  }

  private pairs(detail: Detail): HTMLElement | null {
    if (!detail.pairs.length) return null;
    const one = ([at, measure, value]: Detail["pairs"][number]) => {
      const button = h("button", { type: "button", class: "mlp-link" }, name(this.view.columns[at]?.name ?? "", 28));
      button.addEventListener("click", () => this.go(at));
      return h("li", {}, button, h("span", { class: "mlp-quiet", title: measure }, strength(value)));
    };
    return h("div", { class: "mlp-pairs" }, h("div", { class: "mlp-quiet" }, "Goes with"), h("ul", {}, ...detail.pairs.map(one)));
  }
}

function quantiles(detail: Detail): HTMLElement | null {
  if (!detail.quantiles.length) return null;
  const cell = (value: number | null) => h("td", { class: "mlp-number" }, shown(value));
  return h(
    "table",
    { "aria-label": "Quantiles", class: "mlp-quantiles" },
    h("thead", {}, h("tr", {}, ...detail.quantiles.map(([share]) => h("th", { scope: "col", class: "mlp-number" }, share)))),
    h("tbody", {}, h("tr", {}, ...detail.quantiles.map(([, value]) => cell(value)))),
  );
}
