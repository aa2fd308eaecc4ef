import { assertNever } from "../../core/assert-never.ts";
import { listedKeys, orderCount, selectedKey } from "./listed-rows.ts";
import { changesFor } from "./possible-changes.ts";
import {
  PANES,
  type Page,
  type Pane,
  type PressedKey,
  type TextAsked,
  type TopState,
  type TopStep,
} from "./top-state.ts";

/** Rows that a page key moves by: the height is the view's, not the state's. */
const PAGE_ROWS = 10;

const still = (state: TopState): TopStep => ({ state, effects: [] });
const quit = (state: TopState): TopStep => ({ state, effects: [{ kind: "quit" }] });

export function pressKey(state: TopState, key: PressedKey): TopStep {
  if (key.isCtrl && key.name === "c") return quit(state);
  const { prompt } = state;
  if (prompt?.kind === "filter") return still(typeFilter(state, prompt.text, key));
  if (prompt?.kind === "confirm") return answer(state, key);
  const page = state.pages.at(-1);
  return (
    pressAnywhere(state, key) ??
    (page === undefined ? pressInPanes(state, key) : pressOnPage(state, page, key))
  );
}

/** Keys that mean the same on every page; null for the others. */
function pressAnywhere(state: TopState, key: PressedKey): TopStep | null {
  switch (key.text) {
    case "q":
      return quit(state);
    case "?":
      return still(state.pages.at(-1)?.kind === "help" ? back(state) : opened(state, { kind: "help" }));
    case "p":
      return asked(state, { kind: "plan" });
    case "d":
    case "l":
    case "u":
      return still(proposed(state, key.text));
    default:
      return null;
  }
}

function pressInPanes(state: TopState, key: PressedKey): TopStep {
  const at = PANES.indexOf(state.focus);
  switch (key.name) {
    case "tab":
    case "right":
      return focused(state, PANES[(at + 1) % PANES.length]);
    case "backtab":
    case "left":
      return focused(state, PANES[(at + PANES.length - 1) % PANES.length]);
    case "return":
      return openSelected(state);
    case "escape":
      return still({ ...state, filter: "", isZoomed: false });
    default:
      return pressLetter(state, key) ?? still(moved(state, key));
  }
}

function pressLetter(state: TopState, { text }: PressedKey): TopStep | null {
  switch (text) {
    case "1":
    case "2":
    case "3":
    case "4":
      return focused(state, PANES[Number(text) - 1]);
    case "/":
      return still({ ...state, prompt: { kind: "filter", text: state.filter } });
    case "z":
      return still({ ...state, isZoomed: !state.isZoomed });
    case "s":
      return still(withList(state, ({ sort }) => ({ sort: (sort + 1) % orderCount(state.focus) })));
    case "S":
      return still(withList(state, ({ isReversed }) => ({ isReversed: !isReversed })));
    case "w": {
      const model = state.focus === "models" ? selectedKey(state, "models") : null;
      return model === null ? still(state) : asked(state, { kind: "why", model });
    }
    default:
      return null;
  }
}

function focused(state: TopState, pane: Pane | undefined): TopStep {
  if (pane === undefined) return still(state);
  return {
    state: { ...state, focus: pane },
    effects: pane === "requests" ? [{ kind: "read-requests" }] : [],
  };
}

const withList = (
  state: TopState,
  change: (list: TopState["lists"][Pane]) => Partial<TopState["lists"][Pane]>,
): TopState => {
  const list = state.lists[state.focus];
  return { ...state, lists: { ...state.lists, [state.focus]: { ...list, ...change(list) } } };
};

/** How far a key moves; null for one that does not. */
function distanceOf({ name, text }: PressedKey): number | null {
  if (name === "up" || text === "k") return -1;
  if (name === "down" || text === "j") return 1;
  if (name === "pageup") return -PAGE_ROWS;
  if (name === "pagedown" || text === " ") return PAGE_ROWS;
  if (name === "home" || text === "g") return -Infinity;
  return name === "end" || text === "G" ? Infinity : null;
}

function moved(state: TopState, key: PressedKey): TopState {
  const distance = distanceOf(key);
  if (distance === null) return state;
  const keys = listedKeys(state, state.focus);
  const at = keys.indexOf(selectedKey(state, state.focus) ?? "");
  const next = keys[Math.max(0, Math.min(keys.length - 1, at + distance))];
  return next === undefined ? state : withList(state, () => ({ selected: next }));
}

function openSelected(state: TopState): TopStep {
  const { focus } = state;
  const key = selectedKey(state, focus);
  if (key === null) return still(state);
  switch (focus) {
    case "neurons":
      return still(opened(state, { kind: "neuron", name: key }));
    case "models":
      return still(opened(state, { kind: "model", id: key }));
    case "requests":
      return asked(state, { kind: "request", id: key });
    case "events":
      return still(state);
    default:
      return assertNever(focus);
  }
}

const opened = (state: TopState, page: Page): TopState => ({
  ...state,
  pages: [...state.pages, page],
  scroll: 0,
});

const back = (state: TopState): TopState => ({ ...state, pages: state.pages.slice(0, -1), scroll: 0 });

/** Opens the page of a text, and asks for it; the one that is open already is asked for anew. */
function asked(state: TopState, of: TextAsked): TopStep {
  const page = state.pages.at(-1);
  const isOpen = page?.kind === "text" && page.of.kind === of.kind;
  const before = isOpen ? { ...state, pages: state.pages.slice(0, -1) } : state;
  return {
    state: opened(before, { kind: "text", of, text: null, problem: null }),
    effects: [{ kind: "read-text", of }],
  };
}

// oxlint-disable-next-line max-params -- where, on what, which key
function pressOnPage(state: TopState, page: Page, key: PressedKey): TopStep {
  if (key.name === "escape" || key.name === "left" || key.name === "backspace") return still(back(state));
  if (key.text === "r" && page.kind === "text") return asked(state, page.of);
  if (key.text === "w" && page.kind === "model") return asked(state, { kind: "why", model: page.id });
  const distance = distanceOf(key);
  if (distance === null) return still(state);
  // How far down it can go is known where it is drawn.
  const scroll = distance === Infinity ? Number.MAX_SAFE_INTEGER : Math.max(0, state.scroll + distance);
  return still({ ...state, scroll: Number.isFinite(scroll) ? scroll : 0 });
}

// oxlint-disable-next-line max-params -- where, what stands there, which key
function typeFilter(state: TopState, text: string, key: PressedKey): TopState {
  const typed = (next: string): TopState => ({
    ...state,
    filter: next,
    prompt: { kind: "filter", text: next },
  });
  if (key.name === "return") return { ...state, prompt: null };
  if (key.name === "escape") return { ...state, filter: "", prompt: null };
  if (key.name === "backspace") return typed(text.slice(0, -1));
  if (key.isCtrl || key.text === "") return state;
  return typed(text + key.text);
}

/** Only yes is a yes; which of several changes it is about is chosen before. */
function answer(state: TopState, key: PressedKey): TopStep {
  const { prompt } = state;
  if (prompt?.kind !== "confirm") return still(state);
  const { changes, chosen } = prompt;
  if (key.name === "left" || key.name === "right" || key.name === "tab") {
    const step = key.name === "left" ? changes.length - 1 : 1;
    return still({ ...state, prompt: { ...prompt, chosen: (chosen + step) % changes.length } });
  }
  const change = changes[chosen];
  if (key.text !== "y" || change === undefined) return still({ ...state, prompt: null });
  return { state: { ...state, prompt: null }, effects: [{ kind: "carry-out", change }] };
}

/** Asks before anything is changed by hand, or says why there is nothing to change. */
function proposed(state: TopState, key: "d" | "l" | "u"): TopState {
  const found = changesFor(state, key);
  if (typeof found !== "string") return { ...state, prompt: { kind: "confirm", changes: found, chosen: 0 } };
  return { ...state, notice: { text: found, tone: "plain", untilMs: state.nowMs + 4000 } };
}
