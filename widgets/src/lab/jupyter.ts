// The little of JupyterLab that is used here. Its modules come from the running application, whichever 4.x that is:
// nothing of it is bundled, and its packages are not needed to build this.

export interface Token {
  readonly name: string;
}

export interface LuminoWidget {
  id: string;
  readonly node: HTMLElement;
  readonly isVisible: boolean;
  readonly isDisposed: boolean;
  readonly title: { label: string; caption: string; icon: unknown; closable: boolean };
  addClass(name: string): void;
}

export interface Signal<Sender, Args> {
  connect(slot: (sender: Sender, args: Args) => void): boolean;
}

export interface Outputs {
  readonly length: number;
  get(at: number): { readonly metadata: Record<string, unknown> };
  readonly changed: Signal<unknown, unknown>;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

export interface CodeCell {
  readonly editor: { setSelection(selection: { start: Place; end: Place }): void } | null;
  readonly node: HTMLElement;
  readonly isDisposed: boolean;
  readonly ready: Promise<void>;
  readonly model: {
    readonly id: string;
    readonly type: string;
    readonly sharedModel: { getSource(): string; setSource(text: string): void };
    readonly contentChanged: Signal<unknown, unknown>;
    readonly outputs?: Outputs;
  };
}

export interface Notebook {
  readonly content: {
    readonly widgets: readonly CodeCell[];
    readonly activeCell: CodeCell | null;
    activeCellIndex: number;
    mode: string;
    readonly model: { readonly cells: { readonly changed: Signal<unknown, unknown> } } | null;
    readonly modelChanged: Signal<unknown, unknown>;
  };
  readonly context: { readonly path: string; readonly ready: Promise<void> };
  readonly sessionContext: { readonly statusChanged: Signal<unknown, string> };
  readonly isDisposed: boolean;
}

export interface Tracker {
  readonly currentWidget: Notebook | null;
  readonly currentChanged: Signal<unknown, Notebook | null>;
  readonly widgetAdded: Signal<unknown, Notebook>;
  forEach(each: (notebook: Notebook) => void): void;
}

interface CommandOptions {
  label: string;
  caption?: string;
  icon?: unknown;
  execute: (args: Record<string, unknown>) => unknown;
}

export interface App {
  readonly name: string;
  readonly shell: {
    add(widget: LuminoWidget, area: string, options?: { rank: number }): void;
    activateById(id: string): void;
  };
  readonly commands: {
    addCommand(id: string, options: CommandOptions): unknown;
    execute(id: string, args?: Record<string, unknown>): Promise<unknown>;
    hasCommand(id: string): boolean;
  };
  readonly serviceManager: {
    readonly contents: {
      newUntitled(options: { path: string; type: string }): Promise<{ path: string }>;
      save(path: string, options: { type: string; format: string; content: unknown }): Promise<{ path: string }>;
    };
  };
  readonly restored: Promise<unknown>;
}

export interface Settings {
  readonly composite: Record<string, unknown>;
  readonly changed: Signal<unknown, unknown>;
}

export interface ServerSettings {
  readonly baseUrl: string;
}

interface ServerConnection {
  makeSettings(): ServerSettings;
  makeRequest(url: string, init: RequestInit, settings: ServerSettings): Promise<Response>;
}

/** The shared modules, as far as they are there: Notebook 7 has neither launcher nor status bar. */
export interface Modules {
  readonly services: { readonly ServerConnection: ServerConnection };
  readonly lumino: { readonly Widget: new (options?: { node?: HTMLElement }) => LuminoWidget };
  readonly icons: { readonly LabIcon: new (options: { name: string; svgstr: string }) => unknown };
  readonly notebook: {
    readonly INotebookTracker: Token;
    readonly NotebookActions: {
      insertBelow(notebook: Notebook["content"]): void;
      readonly executionScheduled: Signal<unknown, { readonly cell: CodeCell }>;
      readonly executed: Signal<unknown, unknown>;
    };
  };
  readonly apputils: { readonly ICommandPalette: Token };
  readonly application: { readonly ILayoutRestorer: Token };
  readonly settings: { readonly ISettingRegistry: Token };
  readonly launcher?: { readonly ILauncher: Token };
  readonly statusbar?: { readonly IStatusBar: Token };
  readonly files?: { readonly IDefaultFileBrowser?: Token };
  readonly translation?: { readonly ITranslator: Token };
}

export interface Plugin {
  readonly id: string;
  readonly description: string;
  readonly autoStart: boolean;
  readonly requires?: Token[];
  readonly optional?: Token[];
  activate(app: App, ...services: unknown[]): unknown;
}
