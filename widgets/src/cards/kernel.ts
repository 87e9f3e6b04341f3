// What a card knows of the kernel behind it, and of the notebook around it.

const GONE = "jupyter-widgets-disconnected"; // ipywidgets marks a view so when its kernel is gone

/** The little of anywidget's model that every card uses. */
export interface Live {
  /** ipywidgets' own model of the view's layout: it lives and dies with the same kernel. */
  get(name: "layout"): { comm_live?: boolean } | undefined;
}

/**
 * anywidget hands out no `comm_live`, and removes the listener by which ipywidgets keeps its own mark on the view
 * up to date. The layout's model does have it; the mark is right at the start, and where there is no layout.
 */
export function lost(model: Live, host: HTMLElement): boolean {
  const live = model.get("layout")?.comm_live;
  return live === undefined ? host.closest(`.${GONE}`) !== null : !live;
}

/**
 * A key alone is meant for the card, else "b" on a row would insert a cell below; with a modifier it is the
 * notebook's (save, find). Lumino's data-lm-suppress-shortcuts would take those away as well.
 */
export function keepKeys(element: HTMLElement): void {
  element.addEventListener("keydown", (event) => {
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "Enter" || !(chord || event.key === "Escape")) event.stopPropagation();
  });
}

type Heard = (content: unknown) => void;

/** What a card is to its host. */
export interface Mounted {
  readonly element: HTMLElement;
  readonly build: Heard;
  readonly follow: Heard;
  readonly hear: Heard;
  readonly soon: Heard;
  look(): void;
  stop(): void;
}

/** The little of anywidget's model by which a card hears of its kernel. */
interface Telling {
  on(event: string, listener: Heard): void;
  off(event: string, listener: Heard): void;
}

/** Shows a card whose data stay in the kernel; returns what takes it away. `followed` is the trait that it follows. */
export function mount(card: Mounted, model: Telling, host: HTMLElement, followed: string): () => void {
  host.append(card.element);
  const listeners: [event: string, listener: Heard][] = [
    ["change:state", card.build],
    [`change:${followed}`, card.follow],
    ["msg:custom", card.hear],
    ["comm_live_update", card.soon],
    ["comm:close", card.soon],
  ];
  for (const [event, listener] of listeners) model.on(event, listener);
  card.look(); // the mark of a lost kernel is on the host's ancestors, which are there only now
  return () => {
    for (const [event, listener] of listeners) model.off(event, listener);
    card.stop();
    card.element.remove();
  };
}
