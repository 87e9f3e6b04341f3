// Small drawings. Geometry is in attributes, never in a style: a report's security policy forbids those.

const SVG = "http://www.w3.org/2000/svg";
const SHADES = [1, 0.78, 0.6, 0.45, 0.33, 0.24]; // of the most frequent values in a bar
const REST = 0.1;

export function svg(tag: string, attributes: Record<string, string | number>, ...children: Node[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** A drawing whose words stand elsewhere. */
export function frame(width: number, height: number, ...children: Node[]): SVGElement {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, ...children);
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Upright strokes, each at least visible. */
export function bars(counts: number[], width: number, height: number): SVGElement {
  const top = Math.max(...counts, 1);
  const step = width / Math.max(1, counts.length);
  const strokes = counts.map((count, at) =>
    count ? `M${round((at + 0.5) * step)} ${height}V${round(height - Math.max(1, (height * count) / top))}` : "",
  );
  return svg("path", { class: "mlp-bars", d: strokes.join(""), "stroke-width": round(step - Math.min(1, step / 4)) });
}

/** How the most frequent values share the rows, and all others. */
export function shares(parts: number[], width: number, height: number): SVGElement[] {
  let start = 0;
  const rest = 1 - parts.reduce((sum, part) => sum + part, 0);
  return [...parts, Math.max(0, rest)].flatMap((part, at) => {
    const x = width * start;
    start += part;
    if (part < 0.004) return [];
    const opacity = at < parts.length ? (SHADES[at] ?? REST) : REST;
    return [svg("rect", { class: "mlp-fill", x: round(x), y: 3, width: round(Math.max(0.8, width * part - 1)), height: height - 6, opacity })];
  });
}

export interface Scale {
  (value: number): number;
}

export function scale(values: number[], width: number): Scale {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  return (value) => round(4 + ((value - low) / span) * (width - 8));
}

/** A value, its interval, and the value of all rows as an upright line. */
export function interval(at: Scale, value: number, low: number, high: number, overall: number, width: number): SVGElement {
  return frame(
    width,
    16,
    svg("path", { class: "mlp-rule", d: `M${at(overall)} 0V16` }),
    svg("path", { class: "mlp-bars", d: `M${at(low)} 8H${at(high)}`, "stroke-width": 1.5 }),
    svg("circle", { class: "mlp-fill", cx: at(value), cy: 8, r: 3.5 }),
  );
}
