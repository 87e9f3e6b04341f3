// The container that JupyterLab loads: what webpack's module federation asks of a remote, in a few lines.
// JupyterLab hands over the modules that it shares, we hand out our plugins.

import type { Modules } from "./jupyter";
import { plugins } from "./plugin";

interface Shared {
  get(): Promise<() => unknown>;
  loaded?: unknown;
}
type Scope = Record<string, Record<string, Shared> | undefined>;

const NEEDED: Record<keyof Modules, string> = {
  services: "@jupyterlab/services",
  lumino: "@lumino/widgets",
  icons: "@jupyterlab/ui-components",
  notebook: "@jupyterlab/notebook",
  apputils: "@jupyterlab/apputils",
  application: "@jupyterlab/application",
  settings: "@jupyterlab/settingregistry",
  launcher: "@jupyterlab/launcher",
  statusbar: "@jupyterlab/statusbar",
  files: "@jupyterlab/filebrowser",
  translation: "@jupyterlab/translation",
};

let scope: Scope = {};

/** Of several versions of a singleton everybody takes the one that is loaded, else the highest. */
function chosen(versions: Record<string, Shared>): Shared | undefined {
  const numbers = Object.keys(versions).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const loaded = numbers.find((version) => versions[version]?.loaded);
  return versions[loaded ?? numbers.at(-1) ?? ""];
}

async function modules(): Promise<Modules> {
  const found = await Promise.all(
    Object.entries(NEEDED).map(async ([name, address]) => {
      const shared = chosen(scope[address] ?? {});
      return [name, shared && (await shared.get())()] as const;
    }),
  );
  return Object.fromEntries(found) as unknown as Modules;
}

const container = {
  init(shared: Scope): void {
    scope = shared;
  },
  async get(name: string): Promise<() => unknown> {
    if (name !== "./extension") throw new Error(`mlops-magics has no module ${name}`);
    const made = plugins(await modules());
    return () => ({ __esModule: true, default: made });
  },
};

declare global {
  interface Window {
    _JUPYTERLAB?: Record<string, unknown>;
  }
}
(window._JUPYTERLAB ??= {})["mlops-magics"] = container;
