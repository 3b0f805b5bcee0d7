// The state of the page: the photos, the chosen document and options. Parts subscribe to it and redraw when it changes.

export const NO_CHANGE = Object.freeze({ right: 0, down: 0, zoom: 1, turn: 0, flip: false, light: 0 });
const PLAIN_OPTIONS = { background: "", format: "", kbLeast: "", kbMost: "", px: "", dpi: "" };

export const state = { items: [], current: null, size: null, papers: {}, options: { ...PLAIN_OPTIONS, paper: "", copies: "", sheetFormat: "jpeg" }, guides: true, original: false };

const listeners = [];
let drawing = 0;
export const onChange = (listener) => listeners.push(listener);

/** Redraw all parts once for all changes of this event-loop turn. */
export function changed() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    remember();
    for (const listener of listeners) listener();
  });
}

export function chooseSize(size) {
  state.size = size;
  Object.assign(state.options, PLAIN_OPTIONS, { background: usualBackground(size) });
  localStorage.setItem("idseg-document", size.name);
}

export const cropOnly = (size) => size?.edits === "crop only";
export const usualBackground = (size) => (cropOnly(size) ? "keep" : size.background_hex?.[0] ?? "#ffffff");
export const isAdjusted = (adjust) => Object.keys(NO_CHANGE).some((name) => adjust[name] !== NO_CHANGE[name]);
export const isMoved = (adjust) => isAdjusted({ ...adjust, light: 0 });

// --- reload: the server keeps the photos for some time, this tab keeps their handles and the choices ---

const KEY = "idseg-photos";

function remember() {
  const items = state.items.filter((item) => item.handle).map(({ handle, name, adjust, before }) => ({ handle, name, adjust, before }));
  if (!items.length) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, JSON.stringify({ items, current: state.items.indexOf(state.current), size: state.size, options: state.options }));
}

export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}
