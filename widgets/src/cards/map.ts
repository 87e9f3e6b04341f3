// How columns go together: a map below its diagonal up to 60 columns, and the strongest pairs.

import { h, say } from "./dom";
import { svg } from "./draw";
import type { Overview, Pair } from "./profile_model";
import { cut, name, strength } from "./text";

const SHADES = 10;
const ROOM = 170; // px for the names beside the diagonal

export function associations(view: Overview, go: (column: number) => void): HTMLElement {
  if (!view.pairs.length) return h("p", { class: "mlp-quiet" }, "No two columns go together.");
  return h("div", { class: "mlp-together" }, view.map.columns.length > 1 ? new HeatMap(view, go).element : null, pairs(view, go));
}

class HeatMap {
  readonly element: HTMLElement;
  private readonly caption = h("p", { class: "mlp-quiet", role: "status" });
  private readonly cursor: SVGElement;
  private readonly names: string[];
  private readonly size: number;
  private row = 1;
  private column = 0;

  constructor(
    private readonly view: Overview,
    private readonly go: (column: number) => void,
  ) {
    this.names = view.map.columns.map((at) => view.columns[at]?.name ?? "");
    const count = this.names.length;
    this.size = Math.max(9, Math.min(20, Math.floor(440 / count)));
    const side = count * this.size;
    this.cursor = svg("rect", { class: "mlp-cursor", width: this.size, height: this.size, x: -99, y: 0 });
    const picture = svg("svg", { viewBox: `0 0 ${side + ROOM} ${side}`, width: side + ROOM, height: side, "aria-hidden": "true" }, ...this.cells(), ...this.labels(), this.cursor);
    const area = h("div", { class: "mlp-map", tabindex: "0", role: "group", "aria-label": "Association map; arrow keys move, Enter shows the column" });
    area.append(picture);
    area.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const unit = (box.width / (side + ROOM)) * this.size;
      this.move(Math.floor((event.clientY - box.top) / unit), Math.floor((event.clientX - box.left) / unit));
    });
    area.addEventListener("click", () => this.open());
    area.addEventListener("keydown", (event) => this.steer(event));
    this.element = h("div", {}, area, this.caption);
    say(this.caption, "0 is none, 1 is complete; the darker, the stronger.");
  }

  private strength(row: number, column: number): number | null {
    return this.view.map.cells[(row * (row - 1)) / 2 + column] ?? null;
  }

  /** A path a shade: a few elements instead of thousands. */
  private cells(): SVGElement[] {
    const paths = Array.from({ length: SHADES + 1 }, () => "");
    this.names.forEach((_, row) => {
      for (let column = 0; column < row; column++) {
        const value = this.strength(row, column);
        if (value !== null) paths[Math.round((value / 100) * SHADES)] += `M${column * this.size} ${(row + 0.5) * this.size}h${this.size - 1}`;
      }
    });
    return paths.flatMap((d, shade) => (d ? [svg("path", { class: "mlp-bars", d, "stroke-width": this.size - 1, opacity: shade ? shade / SHADES : 0.05 })] : []));
  }

  private labels(): SVGElement[] {
    return this.names.map((text, at) => {
      const label = svg("text", { x: at * this.size + 4, y: (at + 0.5) * this.size, dy: ".35em", "font-size": Math.min(12, this.size) });
      label.textContent = cut(text, 24);
      return label;
    });
  }

  private move(row: number, column: number): void {
    if (row < 1 || column < 0 || row >= this.names.length || column >= row) return;
    this.row = row;
    this.column = column;
    this.cursor.setAttribute("x", String(column * this.size));
    this.cursor.setAttribute("y", String(row * this.size));
    const value = this.strength(row, column);
    this.caption.replaceChildren(name(this.names[row] ?? "", 40), " with ", name(this.names[column] ?? "", 40), `: ${value === null ? "unknown" : strength(value / 100)}`);
  }

  private steer(event: KeyboardEvent): void {
    const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [0, 0];
    if (event.key === "Enter" || down || right) event.preventDefault();
    if (event.key === "Enter") this.open();
    else if (down || right) this.move(this.row + (down ?? 0), this.column + (right ?? 0));
  }

  private open(): void {
    const at = this.view.map.columns[this.row];
    if (at !== undefined) this.go(at);
  }
}

function pairs(view: Overview, go: (column: number) => void): HTMLElement {
  const one = ([left, right, measure, value]: Pair) => {
    const button = (at: number) => {
      const made = h("button", { type: "button", class: "mlp-link" }, name(view.columns[at]?.name ?? "", 24));
      made.addEventListener("click", () => go(at));
      return made;
    };
    return h("tr", {}, h("th", { scope: "row" }, button(left), " · ", button(right)), h("td", { class: "mlp-number" }, strength(value)), h("td", { class: "mlp-quiet" }, measure));
  };
  const head = ["Strongest pairs", "Strength", "Measure"].map((text, at) => h("th", { scope: "col", class: at === 1 ? "mlp-number" : "" }, text));
  return h("div", { class: "mlp-strongest", tabindex: "0", role: "group", "aria-label": "Strongest pairs" }, h("table", { "aria-label": "Strongest pairs" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...view.pairs.map(one))));
}
