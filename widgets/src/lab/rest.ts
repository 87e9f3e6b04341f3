// Asking the Jupyter server: with its login and its XSRF token, and never twice for what has not changed.

import type { Modules } from "./jupyter";
import { heard, trans } from "../cards/words";

/** Why something could not be read or done, and what to do about it. */
export class Refused extends Error {
  constructor(
    readonly what: string,
    readonly remedy: string,
  ) {
    super(what);
  }
}

type Words = Record<string, string | number | boolean>;

const KEPT = 60; // answers
const STAMP = "X-MLOps-Stamp"; // how things were when an answer was read

export class Rest {
  /** Under which stamps the answers were read that have come since this was emptied. */
  readonly stamps = new Set<string>();
  private readonly known = new Map<string, { etag: string; value: unknown }>();

  /** `at` names the folder of the notebook that is worked in: its project is what is shown. */
  constructor(
    private readonly services: Modules["services"],
    readonly at: () => string,
  ) {}

  async read<T>(name: string, words: Words = {}): Promise<T> {
    const query = new URLSearchParams(Object.entries({ at: this.at(), ...words }).map(([key, value]) => [key, String(value)]));
    const path = `${name}?${query}`;
    const known = this.known.get(path);
    const response = await this.send(path, known ? { headers: { "If-None-Match": known.etag } } : {});
    const stamp = response.headers.get(STAMP);
    if (stamp) this.stamps.add(stamp);
    if (response.status === 304 && known) return known.value as T;
    const value = await answer<T>(response);
    const etag = response.headers.get("ETag");
    if (etag) {
      this.known.delete(path); // the newest is the last
      this.known.set(path, { etag, value });
      if (this.known.size > KEPT) this.known.delete(this.known.keys().next().value ?? "");
    }
    return value;
  }

  async write<T>(name: string, words: Words): Promise<T> {
    return answer<T>(await this.send(name, { method: "POST", body: JSON.stringify({ at: this.at(), ...words }) }));
  }

  private async send(path: string, init: RequestInit): Promise<Response> {
    const { ServerConnection } = this.services;
    const settings = ServerConnection.makeSettings(); // its base address has JupyterHub's prefix
    try {
      return await ServerConnection.makeRequest(`${settings.baseUrl}mlops-magics/${path}`, init, settings);
    } catch {
      throw new Refused(trans.__("The Jupyter server does not answer."), trans.__("Look whether it still runs; then try again."));
    }
  }
}

async function answer<T>(response: Response): Promise<T> {
  const found: unknown = await response.text().then(heard).catch(() => null);
  if (response.ok) return found as T;
  const said = found as { what?: unknown; remedy?: unknown } | null;
  if (typeof said?.what === "string") throw new Refused(said.what, String(said.remedy ?? ""));
  if (response.status === 403) throw new Refused(trans.__("Jupyter does not let you in here."), trans.__("Reload the page, and log in again."));
  if (response.status === 404) {
    throw new Refused(trans.__("The server's side of mlops-magics is not running."), trans.__("Install mlops-magics where JupyterLab runs, then start JupyterLab again."));
  }
  throw new Refused(trans.__("The Jupyter server failed (%1).", String(response.status)), trans.__("Its log has the details; then try again."));
}

export function refused(error: unknown): Refused {
  return error instanceof Refused ? error : new Refused(trans.__("The panel failed."), trans.__("Reload the page; the browser's console has the details."));
}
