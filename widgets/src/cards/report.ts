// A report's own script: the profile card over the static page, answered from the JSON that lies in it.

import { render } from "./profile";
import type { Answer, Detail, Model, Overview } from "./profile_model";

interface Held {
  view: Overview;
  details: Record<string, Detail>;
}

function mount(held: Held, page: HTMLElement): void {
  const listeners: ((content: unknown) => void)[] = [];
  const model = {
    get: (what: string) => (what === "state" ? held.view : what === "layout" ? { comm_live: true } : null),
    on: (event: string, listener: (content: unknown) => void) => event === "msg:custom" && listeners.push(listener),
    off: () => undefined,
    send: ({ column, id }: { column: number; id: string }) => {
      const detail = held.details[column];
      const error = { what: "This report holds no details of that column.", remedy: "The notebook's card has them." };
      const answer: Answer = detail ? { id, detail } : { id, error };
      queueMicrotask(() => listeners.forEach((listener) => listener(answer)));
    },
  };
  const place = document.createElement("div");
  render({ model: model as unknown as Model, el: place });
  page.after(place);
  page.hidden = true; // only now: where anything above failed, the static page is still there
}

const data = document.getElementById("profile")?.textContent;
const page = document.getElementById("static");
if (data && page) mount(JSON.parse(data) as Held, page);
