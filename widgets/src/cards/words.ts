// Every word that the panel and the promotion desk show goes through `trans`: a language pack of JupyterLab may put
// another in its place.
//
// The names are those that JupyterLab's tools look for when they make a catalogue (`trans.__`, `trans._n`). What
// comes from the store, names and reasons, is shown as it came.

export interface Words {
  /** Translate a sentence; %1, %2 ... stand for what is handed over, and %% for one sign. */
  __(text: string, ...values: string[]): string;
  /** Translate what is counted; %1 stands for the number, %2 ... for what is handed over. */
  _n(one: string, many: string, count: number, ...values: string[]): string;
}

export interface Translator {
  load(domain: string): Words;
}

const DOMAIN = "mlops_magics"; // as JupyterLab makes it from the extension's name
const PLACE: unique symbol = Symbol.for("mlops-magics.words");

const plain: Words = {
  __: (text, ...values) => put(text, values),
  _n: (one, many, count, ...values) => put(count === 1 ? one : many, [String(count), ...values]),
};

/** A card in a notebook is a program of its own: it finds on the page what the panel was given. */
const page = globalThis as unknown as { [PLACE]?: Words };
const found = (): Words => page[PLACE] ?? plain;

export const trans: Words = {
  __: (text, ...values) => found().__(text, ...values),
  _n: (one, many, count, ...values) => found()._n(one, many, count, ...values),
};

/** Take the words from JupyterLab; without its translator they stay as they stand in the code. */
export function speak(translator: Translator | null): void {
  page[PLACE] = translator?.load(DOMAIN) ?? plain;
}

/** Read JSON; a sentence of the server, `{"%": [text, ...values]}`, is said in the reader's language. */
export function heard(json: string): unknown {
  return JSON.parse(json, (_, value: unknown) => {
    const parts: unknown = typeof value === "object" && value !== null ? (value as { "%"?: unknown })["%"] : undefined;
    if (!Array.isArray(parts)) return value;
    const [text = "", ...values] = parts.map(String);
    return found().__(text, ...values);
  });
}

/** Stands for an element in a sentence until `parted` puts it there. */
export const HERE = "\u0001";

/** Put elements into a translated sentence, in the order of the places that `HERE` holds. */
export function parted(sentence: string, ...parts: Node[]): (Node | string)[] {
  const [first = "", ...rest] = sentence.split(HERE);
  return [first, ...rest.flatMap((text, at) => [parts[at] ?? "", text])];
}

/** A number as the panel writes it. */
export function number(count: number): string {
  return count.toLocaleString("en-US");
}

function put(text: string, values: string[]): string {
  return text.replace(/%%|%(\d+)/g, (sign, at: string | undefined) => (at === undefined ? "%" : (values[Number(at) - 1] ?? sign)));
}
