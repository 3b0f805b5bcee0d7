// The processing of a photo: prepare, send once, finish, check; repeated after every change. One photo at a time, the shown one first.

import * as server from "./server.js";
import { around, blobOf, prepared, sideFor } from "./prepare.js";
import { personOf } from "./paint.js";
import { NOTHING_BEFORE } from "./done.js";
import { NO_CHANGE, changed, isMoved, state } from "./state.js";

const ENLARGED = 1.02;

export class Item {
  constructor(file, name) {
    Object.assign(this, { file, name, adjust: { ...NO_CHANGE }, quarters: 0, among: null, step: "", percent: 0, problem: null, atEnd: false });
    Object.assign(this, { earlier: NOTHING_BEFORE, sent: null, bitmap: null, original: null, handle: "", full: false, asked: null, reply: null, made: null, person: null, layers: null, abort: null });
  }

  /** Whether the finished photo matches the current choices. */
  get current() {
    return Boolean(this.made) && this.made.key === keyOf(this);
  }

  /** What this page did to the pixels before the server got them; `earlier`: before a reload. */
  get before() {
    const scale = this.original && this.bitmap ? Math.max(this.bitmap.width, this.bitmap.height) / Math.max(...this.original) : 1;
    return { quarters: (this.earlier.quarters + this.quarters) % 4, scale: this.earlier.scale * scale };
  }

  /** The photo itself changed: send it again. */
  renew() {
    this.abort?.abort();
    if (this.handle) server.forget(this.handle);
    Object.assign(this, { sent: null, handle: "", reply: null, made: null, person: null, layers: null, problem: null, adjust: { ...NO_CHANGE }, atEnd: false });
  }

  close() {
    this.abort?.abort();
    if (this.handle) server.forget(this.handle);
    this.bitmap?.close();
  }
}

/** The query for an item, without layers. */
export function questionFor(item) {
  const { options, size } = state, { adjust } = item;
  const kb = options.kbMost || options.kbLeast ? `${options.kbLeast || 0}-${options.kbMost || 100000}` : "";
  const moved = isMoved(adjust) ? { right: adjust.right.toFixed(3), down: adjust.down.toFixed(3), zoom: adjust.zoom.toFixed(4), turn: adjust.turn.toFixed(3), flip: adjust.flip ? "1" : "" } : {};
  return { size: size.name, background: options.background, format: options.format, kb, px: options.px, dpi: options.dpi, light: adjust.light ? adjust.light.toFixed(2) : "", ...moved };
}

const keyOf = (item) => (state.size ? JSON.stringify([questionFor(item), item.handle]) : "");
const layersKeyOf = (item) => JSON.stringify([state.size.name, state.options.px, item.handle]);

// --- the queue ---

const waiting = new Set();
let busy = null, timer = 0;

/** Finish an item with the current choices, after `pause` ms without another change. Drops a pending answer, but not a pending upload. */
export function want(item, pause = 0) {
  waiting.add(item);
  item.problem = null;
  if (busy === item && item.step === "working") item.abort.abort();
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = 0;
    next();
  }, pause);
  document.documentElement.dataset.state = "busy"; // now, not with the next drawing: whoever waits for the end must not see the last one
  changed();
}

export const wantAll = (pause) => state.items.forEach((item) => want(item, pause));
export const isWaiting = (item) => waiting.has(item);
export const isWorking = (item) => busy === item || waiting.has(item);

/** Stop processing an item; it is kept and can be tried again. */
export function cancel(item) {
  if (!isWorking(item)) return;
  waiting.delete(item);
  if (busy === item) item.abort.abort();
  Object.assign(item, { step: "", problem: new server.Refused({ reason: "cancelled" }) });
  changed();
}

async function next() {
  if (busy || timer || !waiting.size || !server.session.settings) return;
  const item = waiting.has(state.current) ? state.current : waiting.values().next().value;
  waiting.delete(item);
  busy = item;
  item.abort = new AbortController();
  const { signal } = item.abort;
  try {
    await make(item, signal);
  } catch (error) {
    if (!signal.aborted && !waiting.has(item)) item.problem = error instanceof server.Refused ? error : new server.Refused({ reason: "internal", message: String(error) });
  }
  Object.assign(item, { step: "", percent: 0 });
  busy = null;
  changed();
  next();
}

function step(item, name) {
  item.step = name;
  changed();
}

async function make(item, signal) {
  if (!item.sent) await prepare(item, signal);
  if (!item.handle) await send(item, signal);
  if (!state.size || item.current) return;
  step(item, "working");
  const reply = await asked(item, signal);
  if (reply.photo.scaled > ENLARGED && !item.full && item.original && Math.max(...item.original) > Math.max(item.bitmap.width, item.bitmap.height)) {
    Object.assign(item, { full: true, sent: null, handle: "" }); // the head is small in it: send more of its pixels
    await make(item, signal);
  }
}

async function prepare(item, signal) {
  step(item, "preparing");
  if (item.among) { // one of several people was chosen: the part of the photo around this person is the photo now
    const file = await around(item.bitmap, item.among.boxes, item.among.index);
    signal.throwIfAborted();
    Object.assign(item, { file, quarters: 0, among: null });
  }
  const side = sideFor(state.size?.px ?? [600, 600], item.full);
  const found = await prepared(item.file, side, server.session.settings.max_file_bytes, item.quarters);
  signal.throwIfAborted();
  Object.assign(item, { sent: found.blob, bitmap: found.bitmap ?? item.bitmap, original: found.original });
}

async function send(item, signal) {
  step(item, "uploading");
  item.handle = await server.keep(item.sent, signal, (percent) => {
    item.percent = percent;
    changed();
  });
  if (!item.bitmap) item.bitmap = await createImageBitmap(await server.keptPhoto(item.handle, signal)); // a format that only the server reads
}

async function asked(item, signal) {
  const question = questionFor(item), key = keyOf(item), layersKey = layersKeyOf(item);
  const known = item.layers?.key === layersKey;
  let reply;
  try {
    reply = await server.photo({ ...question, handle: item.handle, layers: known ? "" : "1" }, signal);
  } catch (error) {
    if (error.reason !== "unknown_handle") throw error;
    item.handle = "";
    await send(item, signal);
    step(item, "working");
    return asked(item, signal);
  }
  if (reply.layers) {
    const person = await personOf(reply.layers, blobOf);
    signal.throwIfAborted();
    item.person?.close();
    Object.assign(item, { person, layers: { ...reply.layers, key: layersKey, mm: byRules(reply.photo.head_mm, item.adjust, reply.photo.mm[1]) } });
    delete item.layers.colours;
    delete item.layers.alpha;
  }
  Object.assign(item, { reply, made: { key, name: reply.photo.file.name, blob: blobOf(reply.photo.file), file: reply.photo.file, size: state.size, adjust: { ...item.adjust } } });
  delete reply.photo.file.base64;
  changed();
  return reply;
}

/** The measures before a manual change, from those after it: the inverse of `measured`. */
function byRules(mm, adjust, height) {
  const eyes = mm.eyes + adjust.down;
  return {
    head: mm.head / adjust.zoom, eyes, face: mm.face / adjust.zoom, width: mm.width / adjust.zoom,
    top: height - eyes - (height - mm.eyes - mm.top) / adjust.zoom, chin: eyes - (mm.eyes - mm.chin) / adjust.zoom,
  };
}

/** The measures after a manual change; the same formula as in idseg/photo/adjust.py. */
export function measured(mm, adjust, height) {
  const eyes = mm.eyes - adjust.down;
  return {
    head: mm.head * adjust.zoom, eyes, face: mm.face * adjust.zoom, width: mm.width * adjust.zoom,
    top: height - eyes - (height - mm.eyes - mm.top) * adjust.zoom, chin: eyes - (mm.eyes - mm.chin) * adjust.zoom,
  };
}
