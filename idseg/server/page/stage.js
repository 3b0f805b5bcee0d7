// The finished photo, large: drawn in the browser from the person's layers, moved by hand, with the rules over it.

import { $, shape, titleOf, words } from "./words.js";
import { NO_CHANGE, changed, cropOnly, isAdjusted, isMoved, onChange, state } from "./state.js";
import { isWaiting, measured, want } from "./item.js";
import { after, drawPlaced, handMatrix, lit, paintBackground } from "./paint.js";
import { faultsOf, signless } from "./verdict.js";
import { drawFaults } from "./faults.js";

const PAUSE_MS = 350; // between the last movement and the question to the server
const STEP_MM = 0.25;
const SLACK_PX = 1; // of rounding

export function setUpStage() {
  onChange(draw);
  new ResizeObserver(() => changed()).observe($("stage"));
  setUpGestures();
  setUpTools();
}

export function moveBy(change) {
  const item = state.current;
  if (!item?.layers) return;
  const adjust = { ...item.adjust, ...change };
  adjust.zoom = Math.min(1.5, Math.max(0.7, adjust.zoom));
  adjust.turn = Math.min(15, Math.max(-15, adjust.turn));
  if (cropOnly(state.size)) adjust.light = 0;
  const [width, height] = state.size.mm;
  adjust.right = Math.min(width / 2, Math.max(-width / 2, adjust.right));
  adjust.down = Math.min(height / 3, Math.max(-height / 3, adjust.down));
  if (state.options.background === "keep" && beyond(item, adjust) > Math.max(SLACK_PX, beyond(item, item.adjust))) { // there is no more wall
    item.atEnd = true;
    return changed();
  }
  Object.assign(item, { adjust, atEnd: false });
  want(item, PAUSE_MS);
}

/** By how many px of the photo its edge comes into the finished photo; 0: nowhere. */
export function beyond(item, adjust) {
  const { px, mm } = item.made?.size ?? state.size, [width, height] = px;
  const [a, b, c, d, e, f] = after(handMatrix(adjust, item.layers.eyes, height / mm[1], width), fromBitmap(item)), area = a * e - b * d;
  const outside = [[0, 0], [width, 0], [0, height], [width, height]].flatMap(([x, y]) => {
    const right = (e * (x - c) - b * (y - f)) / area, down = (a * (y - f) - d * (x - c)) / area;
    return [-right, -down, right - item.bitmap.width, down - item.bitmap.height];
  });
  return Math.max(0, ...outside);
}

// --- gestures ---

function setUpGestures() {
  const frame = $("frame"), fingers = new Map();
  let distance = 0;
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    distance = apart(fingers);
  });
  frame.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId), item = state.current;
    if (!before || !item?.layers) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) {
      const now = apart(fingers);
      if (distance) moveBy({ zoom: (item.adjust.zoom * now) / distance });
      distance = now;
      return;
    }
    const mm = state.size.mm[0] / frame.clientWidth, mirror = item.adjust.flip ? -1 : 1;
    moveBy({ right: item.adjust.right + mirror * (event.clientX - before.clientX) * mm, down: item.adjust.down + (event.clientY - before.clientY) * mm });
  });
  for (const kind of ["pointerup", "pointercancel"]) frame.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  frame.addEventListener("wheel", (event) => {
    if (!state.current?.layers) return;
    event.preventDefault();
    moveBy({ zoom: state.current.adjust.zoom * Math.exp(-event.deltaY / 1500) });
  }, { passive: false });
  frame.addEventListener("keydown", byKey);
}

function apart(fingers) {
  const [one, other] = [...fingers.values()];
  return other ? Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) : 0;
}

function byKey(event) {
  const adjust = state.current?.adjust;
  if (!adjust || event.ctrlKey || event.metaKey) return;
  const mirror = adjust.flip ? -1 : 1;
  const changes = {
    ArrowLeft: { right: adjust.right - mirror * STEP_MM }, ArrowRight: { right: adjust.right + mirror * STEP_MM }, ArrowUp: { down: adjust.down - STEP_MM }, ArrowDown: { down: adjust.down + STEP_MM },
    "+": { zoom: adjust.zoom + 0.01 }, "=": { zoom: adjust.zoom + 0.01 }, "-": { zoom: adjust.zoom - 0.01 }, ",": { turn: adjust.turn - 0.25 }, ".": { turn: adjust.turn + 0.25 }, 0: { ...NO_CHANGE },
  };
  if (!(event.key in changes)) return;
  event.preventDefault();
  moveBy(changes[event.key]);
}

function setUpTools() {
  $("zoom").oninput = () => moveBy({ zoom: $("zoom").value / 100 });
  $("turn").oninput = () => moveBy({ turn: Number($("turn").value) });
  $("light").oninput = () => moveBy({ light: Number($("light").value) });
  $("flip").onclick = () => moveBy({ flip: !state.current.adjust.flip });
  $("reset").onclick = () => moveBy({ ...NO_CHANGE });
  $("rotate").onclick = () => rotate(1);
  $("guides-on").onclick = () => toggle("guides");
  $("original").onclick = () => toggle("original");
}

function toggle(name) {
  state[name] = !state[name];
  changed();
}

/** Turn the whole photo by quarters, clockwise. */
export function rotate(quarters) {
  const item = state.current;
  item.quarters = (item.quarters + quarters + 4) % 4;
  if (!item.file.size) return;
  item.renew();
  want(item);
}

// --- drawing ---

function draw() {
  const item = state.current;
  if (!item) return;
  const ready = Boolean(item.person && item.layers && state.size), size = item.made?.size ?? state.size;
  const unable = Boolean(item.problem) && !item.reply;
  $("frame").hidden = !ready;
  $("tools").hidden = !ready;
  $("live").hidden = !ready;
  $("stage-empty").hidden = ready || !item.bitmap;
  $("stage").classList.toggle("old", ready && Boolean(item.problem || item.step) && size.name !== state.size.name); // else it is drawn here as chosen
  busy(item);
  if (!ready && item.bitmap) plainPhoto(item, unable);
  if (ready) finished(item, size);
}

function busy(item) {
  const text = { preparing: words.preparing, uploading: words.uploading, working: words.working }[item.step] ?? (isWaiting(item) && !item.made ? words.waiting : "");
  $("busy").hidden = !text;
  $("busy-text").textContent = text;
  $("busy-progress").hidden = item.step !== "uploading";
  $("busy-progress").value = item.percent;
  if (item.step === "uploading") $("busy-text").textContent = `${text} ${item.percent} %`;
}

function plainPhoto(item) {
  const image = $("stage-photo");
  if (image.shows === item.bitmap) return;
  image.shows = item.bitmap;
  const canvas = new OffscreenCanvas(item.bitmap.width, item.bitmap.height);
  canvas.getContext("2d").drawImage(item.bitmap, 0, 0);
  canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 }).then((blob) => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(blob);
  });
}

/** The finished photo on a context of `scale` px to a finished pixel. */
export function drawFinished(context, item, size, scale, original = false) {
  const [width, height] = size.px, background = state.options.background;
  const hand = handMatrix(item.adjust, item.layers.eyes, height / size.mm[1], width);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  const wall = original || background === "keep";
  if (wall) drawPlaced(context, original ? item.bitmap : inLight(item, "bitmap"), after(hand, fromBitmap(item)), scale);
  else {
    context.save();
    context.scale(scale, scale);
    paintBackground(context, background, width, height);
    context.restore();
    drawPlaced(context, inLight(item, "person"), after(hand, item.layers.to_finished), scale);
  }
}

/** Whether the browser has all it needs for the finished photo of the current choices. */
export const canDraw = (item) => Boolean(item.person && item.layers && item.made) && item.made.size.name === state.size.name;

/** The finished photo at its own size, drawn here. */
export async function finishedCanvas(item) {
  const { size } = item.made, [width, height] = state.options.px ? state.options.px.split("x").map(Number) : size.px;
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  do {
    if (item.lighting) await new Promise((done) => setTimeout(done, 30));
    drawFinished(context, item, size, width / size.px[0]);
  } while (item.lighting);
  return canvas;
}

/** A picture of the item in the light that is chosen; as it is until that is ready, which takes a frame or two. */
function inLight(item, name) {
  const { light } = item.adjust, picture = item[name];
  if (!light || !picture) return picture;
  const found = (item.lit ??= {})[name];
  if (found?.of === picture && found.light === light) return found.bitmap;
  if (!item.lighting) {
    item.lighting = true;
    lit(picture, light).then((bitmap) => {
      found?.bitmap.close();
      item.lit[name] = { of: picture, light, bitmap };
    }).catch(() => {}).finally(() => { // the picture was replaced meanwhile
      item.lighting = false;
      changed();
    });
  }
  return found?.of === picture ? found.bitmap : picture;
}

/** The bitmap may have other pixels than what the server looked at: a format that only the server reads comes back reduced. */
function fromBitmap(item) {
  const [a, b, c, d, e, f] = item.layers.from_photo, factor = item.layers.photo_px[0] / item.bitmap.width;
  return [a * factor, b * factor, c, d * factor, e * factor, f];
}

function finished(item, size) {
  if ($("stage").clientWidth < 100) return; // not laid out yet
  const canvas = $("canvas"), [width, height] = size.px;
  const room = [$("stage").clientWidth - 28, Math.max(260, Math.min(window.innerHeight * 0.58, 640))];
  const fit = Math.min(room[0] / width, room[1] / height), shown = [Math.round(width * fit), Math.round(height * fit)];
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  canvas.width = Math.round(shown[0] * ratio);
  canvas.height = Math.round(shown[1] * ratio);
  for (const element of [canvas, $("frame")]) Object.assign(element.style, { width: `${shown[0]}px`, height: `${shown[1]}px` });
  canvas.setAttribute("aria-label", words.preview(titleOf(size)));
  drawFinished(canvas.getContext("2d"), item, size, canvas.width / width, state.original);
  tools(item);
  guides(item, size, shown);
}

function tools({ adjust }) {
  $("zoom").value = Math.round(adjust.zoom * 100);
  $("zoom-value").textContent = `${Math.round(adjust.zoom * 100)} %`;
  $("zoom").setAttribute("aria-valuetext", $("zoom-value").textContent);
  $("turn").value = adjust.turn;
  $("turn-value").textContent = `${signless(adjust.turn.toFixed(2).replace(/\.?0+$/, ""))}°`;
  $("turn").setAttribute("aria-valuetext", $("turn-value").textContent);
  $("light").value = adjust.light;
  $("light-tool").hidden = cropOnly(state.size);
  $("light-value").textContent = adjust.light ? `${adjust.light > 0 ? "+" : "−"}${Math.abs(adjust.light).toFixed(2).replace(/0$/, "")}` : "0";
  $("light").setAttribute("aria-valuetext", $("light-value").textContent);
  $("flip").setAttribute("aria-pressed", adjust.flip);
  $("guides-on").setAttribute("aria-pressed", state.guides);
  $("original").setAttribute("aria-pressed", state.original);
  $("reset").disabled = !isAdjusted(adjust);
}

function guides(item, size, shown) {
  const svg = $("guides"), [width, height] = size.mm, { adjust } = item;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const mm = measured(item.layers.mm, adjust, height), parts = [];
  const bands = size.rules_from === "document" ? size.rules_mm : {};
  const off = (rule) => Boolean(bands[rule]) && (mm[rule] < bands[rule][0] - 0.05 || mm[rule] > bands[rule][1] + 0.05);
  const eyesX = (item.layers.eyes[0] / size.px[0]) * width + adjust.right, middle = adjust.flip ? width - eyesX : eyesX;
  const chin = height - mm.chin, crown = chin - mm.head, eyes = height - mm.eyes;
  if (state.guides && !state.original) {
    const band = (from, to, rule) => {
      const top = Math.max(0, from), end = Math.min(height, to);
      if (end > top) parts.push(shape("rect", { class: off(rule) ? "band off" : "band", x: 0, y: top, width, height: end - top }));
    };
    if (bands.head) band(chin - bands.head[1], chin - bands.head[0], "head");
    if (bands.eyes) band(height - bands.eyes[1], height - bands.eyes[0], "eyes");
    const oval = shape("ellipse", { class: off("head") ? "oval off" : "oval", cx: middle, cy: (crown + chin) / 2, rx: mm.width / 2, ry: (chin - crown) / 2 });
    oval.setAttribute("transform", `rotate(${adjust.flip ? -adjust.turn : adjust.turn} ${middle} ${eyes})`);
    parts.push(oval, shape("line", { class: off("eyes") ? "line off" : "line", x1: middle - mm.width * 0.62, x2: middle + mm.width * 0.62, y1: eyes, y2: eyes }));
  }
  if (item.reply && item.current) parts.push(...drawFaults(faultsOf(item), { mm, middle, chin, crown, eyes, width, height, unit: width / shown[0], lacks: item.reply.photo.lacks_mm }));
  svg.replaceChildren(...parts);
  live(bands, mm, off, item);
}

function live(bands, mm, off, item) {
  const parts = Object.keys(bands).filter((rule) => words.live[rule]).map((rule) => {
    const text = document.createElement("span");
    text.className = off(rule) ? "bad" : "ok";
    text.textContent = `${off(rule) ? "✕" : "✓"} ${words.live[rule]}`;
    text.dataset.rule = rule;
    return text;
  });
  if (item.atEnd) parts.push(words.photoEnds);
  else if (isMoved(item.adjust) && !item.current) parts.push(words.notJudged);
  if ($("live").textContent !== parts.map((part) => part.textContent ?? part).join("")) $("live").replaceChildren(...parts);
}
