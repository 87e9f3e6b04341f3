// What JupyterLab is given: the side panel, the commands, the badges, the launcher's cards, the status bar's item.

import { fill, h } from "../cards/dom";
import { Badges, type Cut } from "./badge";
import type { App, LuminoWidget, Modules, Plugin, Settings, Tracker } from "./jupyter";
import { folder, folderOf, fromTemplate, insert, plain } from "./notebook";
import { Panel, type Standing } from "./panel";
import type { SectionName } from "./parts";
import { Rest } from "./rest";
import { LAB, MlflowTab } from "./mlflow";
import { speak, trans, type Translator } from "../cards/words";

declare const LAB_STYLE: string; // the built style sheet
declare const LAB_ICON: string; // the panel's sign, as SVG

const ID = "mlops-magics:plugin";
const PANEL = "mlops-magics-panel";
const CATEGORY = "MLOps"; // a name: it is not translated
const BELOW_NOTEBOOKS = 10; // in the launcher notebooks have 0 and consoles 20; older JupyterLabs do not ask
// The only thing of JupyterLab's own that is styled: our sheet holds below our own root.
const TOOLBAR = '.jp-Toolbar [data-command="mlops:show-runs"] .jp-ToolbarButtonComponent-label { margin-left: 4px; }';
const DESCRIPTION = "Runs, models, endpoints and alerts beside the notebook."; // for who lists plugins: asked before any translator is there

interface Palette {
  addItem(item: { command: string; category: string }): unknown;
}
interface Launcher {
  add(item: { command: string; category: string; rank: number; categoryRank: number }): unknown;
}
interface StatusBar {
  registerStatusItem(id: string, options: { item: LuminoWidget; align: string; rank: number; isActive: () => boolean }): unknown;
}
interface Restorer {
  add(widget: LuminoWidget, name: string): void;
}
interface Registry {
  load(id: string): Promise<Settings>;
}
interface Browser {
  readonly model: { readonly path: string };
}

export function plugins(modules: Modules): Plugin[] {
  const { notebook, apputils, application, settings, launcher, statusbar, files, translation } = modules;
  const tokens = [apputils.ICommandPalette, application.ILayoutRestorer, settings.ISettingRegistry, launcher?.ILauncher, statusbar?.IStatusBar, files?.IDefaultFileBrowser, translation?.ITranslator];
  const optional = tokens.filter((token) => token !== undefined);
  return [
    {
      id: ID,
      description: DESCRIPTION,
      autoStart: true,
      requires: [notebook.INotebookTracker],
      optional,
      activate(app: App, tracker: unknown, ...rest: unknown[]): void {
        const given = new Map(optional.map((token, at) => [token, rest[at] ?? null]));
        const service = <T>(token: (typeof tokens)[number]): T | null => (token && (given.get(token) as T | null)) ?? null;
        speak(service<Translator>(tokens[6]));
        begin(app, modules, tracker as Tracker, {
          palette: service<Palette>(tokens[0]),
          restorer: service<Restorer>(tokens[1]),
          registry: service<Registry>(tokens[2]),
          launcher: service<Launcher>(tokens[3]),
          statusBar: service<StatusBar>(tokens[4]),
          browser: service<Browser>(tokens[5]),
        });
      },
    },
  ];
}

interface Around {
  palette: Palette | null;
  restorer: Restorer | null;
  registry: Registry | null;
  launcher: Launcher | null;
  statusBar: StatusBar | null;
  browser: Browser | null;
}

function begin(app: App, modules: Modules, tracker: Tracker, around: Around): void {
  document.head.append(h("style", { "data-mlops": "" }, LAB_STYLE + TOOLBAR));
  const icon = new modules.icons.LabIcon({ name: "mlops-magics:panel", svgstr: LAB_ICON });
  const at = (): string => folder(tracker, () => around.browser?.model.path ?? "");
  const bar = new Bar(() => show());
  const rest = new Rest(modules.services, at);
  const mlflow = new MlflowTab(app, modules, rest, icon);
  const panel: Panel = new Panel(
    rest,
    {
      insert: (code) => insert(modules, tracker, code),
      openNotebook: async (path) => void (await app.commands.execute("docmanager:open", { path })),
      newNotebook: () => fromTemplate(app, at()),
      openMlflow: () => mlflow.open(),
    },
    (standing) => bar.update(standing),
  );
  const widget = sidePanel(modules, panel, icon);
  const show = (section?: SectionName, key?: string): void => {
    app.shell.activateById(PANEL);
    if (section) panel.show(section, key);
  };
  app.shell.add(widget, "left", { rank: 320 });
  around.restorer?.add(widget, PANEL);
  const ended = (path: string): Promise<Cut> => rest.read<Cut>("cut", { at: folderOf(path), notebook: plain(path) });
  const badges = new Badges(tracker, (run) => show("runs", run), ended);
  commands(app, around, icon, at, show, panel);
  if (around.statusBar) {
    around.statusBar.registerStatusItem(`${ID}-status`, { item: bar.widget(modules), align: "left", rank: 40, isActive: () => bar.active });
  }
  tracker.currentChanged.connect(() => panel.moved());
  modules.notebook.NotebookActions.executionScheduled.connect((_, { cell }) => badges.begun(cell));
  modules.notebook.NotebookActions.executed.connect(() => panel.ran());
  void app.restored.then(() => panel.standing().catch(() => undefined));
  void around.registry?.load(ID).then((settings) => {
    const apply = (): void => {
      const { refresh, badges: badged, statusBar } = settings.composite;
      panel.every(Number(refresh));
      badges.turn(badged !== false);
      bar.turn(statusBar !== false);
    };
    settings.changed.connect(apply);
    apply();
  });
}

function sidePanel({ lumino }: Modules, panel: Panel, icon: unknown): LuminoWidget {
  class SidePanel extends lumino.Widget {
    protected onAfterShow(): void {
      panel.seen(true);
    }
    /** A layout that is restored shows it without a word. */
    protected onAfterAttach(): void {
      panel.seen(this.isVisible);
    }
    protected onAfterHide(): void {
      panel.seen(false);
    }
    protected onActivateRequest(): void {
      this.node.querySelector<HTMLElement>("input")?.focus();
    }
  }
  const node = h("div", { class: "mlops-magics-lab mlp-side" }, panel.element);
  const widget = new SidePanel({ node });
  widget.id = PANEL;
  widget.title.icon = icon;
  widget.title.caption = trans.__("MLOps: runs, models, endpoints, alerts");
  return widget;
}

function commands(app: App, { palette, launcher }: Around, icon: unknown, at: () => string, show: (section?: SectionName) => void, panel: Panel): void {
  const made: [id: string, label: string, caption: string, execute: (args: Record<string, unknown>) => unknown, launched: boolean][] = [
    ["mlops:new-notebook", trans.__("New Tracked Notebook"), trans.__("A notebook with all steps, to put your own model into"), ({ cwd }) => begun(app, typeof cwd === "string" ? cwd : at()), true],
    ["mlops:show-runs", trans.__("Show Runs"), trans.__("The MLOps panel: runs, models, endpoints, alerts, and the next command"), () => show("runs"), true],
    ["mlops:show-models", trans.__("Show Models"), trans.__("Models, their aliases and promotion"), () => show("models"), true],
    ["mlops:show-endpoints", trans.__("Show Endpoints"), trans.__("What is live, its health and rate"), () => show("endpoints"), false],
    ["mlops:show-alerts", trans.__("Show Alerts"), trans.__("What asks for attention"), () => show("alerts"), false],
    ["mlops:insert-track", trans.__("Insert a Tracked Cell"), trans.__("A cell whose fit is a run"), () => panel.insert("%%mlops_track --name baseline -o run\n"), false],
    ["mlops:insert-status", trans.__("Insert %mlops: State and Next Step"), trans.__("How things stand, and the next command"), () => panel.insert("%mlops"), false],
    ["mlops:insert-doctor", trans.__("Insert %mlops_doctor: What Is Broken"), trans.__("What is broken, and the remedy"), () => panel.insert("%mlops_doctor"), false],
    ["mlops:open-mlflow", trans.__("Open MLflow's Own Pages"), trans.__("MLflow's own user interface for this store, in a tab"), () => panel.openMlflow().catch((error: unknown) => panel.failed(error)), false],
    ["mlops:refresh", trans.__("Refresh the MLOps Panel"), trans.__("Read the store again"), () => panel.refresh(), false],
  ];
  for (const [command, label, caption, execute, launched] of made) {
    app.commands.addCommand(command, { label, caption, icon, execute });
    palette?.addItem({ command, category: CATEGORY });
    if (launched) launcher?.add({ command, category: CATEGORY, rank: made.findIndex(([id]) => id === command), categoryRank: BELOW_NOTEBOOKS });
  }
}

/** A notebook from the template, and beside it the panel that it speaks of; a page of one document has no room for both. */
function begun(app: App, at: string): Promise<void> {
  if (app.name === LAB) app.shell.activateById(PANEL);
  return fromTemplate(app, at);
}

/** The status bar's item: the experiment that is worked in, what waits, how many alerts. */
class Bar {
  private readonly node: HTMLButtonElement;
  private standing: Standing | null = null;
  private on = true;

  constructor(open: () => void) {
    this.node = h("button", { type: "button", class: "mlp-bar-item" });
    this.node.addEventListener("click", open);
  }

  get active(): boolean {
    return this.on;
  }

  widget({ lumino }: Modules): LuminoWidget {
    return new lumino.Widget({ node: h("div", { class: "mlops-magics-lab mlp-bar-place" }, this.node) });
  }

  update(standing: Standing | null): void {
    this.standing = standing;
    this.show();
  }

  turn(on: boolean): void {
    this.on = on;
    this.show();
  }

  private show(): void {
    this.node.hidden = !this.on || !this.standing?.store;
    if (!this.standing) return;
    const { experiment, waiting, alerts } = this.standing;
    const words = [experiment ?? trans.__("no experiment"), waiting ? trans.__("%1 waiting", String(waiting)) : "", alerts ? trans._n("%1 alert", "%1 alerts", alerts) : ""];
    fill(this.node, `${CATEGORY}: ${words.filter(Boolean).join(" · ")}`);
    this.node.title = trans.__("Open the MLOps panel");
  }
}
