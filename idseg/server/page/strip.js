// Several photos: a strip of thumbnails, each with its verdict.

import { $, made, words } from "./words.js";
import { changed, onChange, state } from "./state.js";
import { isWaiting, want } from "./item.js";
import { drawFinished } from "./stage.js";
import { verdictOf, verdictText } from "./verdict.js";

const HIGH = 180; // px of a thumbnail
const MARKS = { met: "✓", look: "?", "not-met": "✕", failed: "✕", busy: "…", wait: "…" };

export function setUpStrip(add) {
  onChange(() => draw(add));
}

const stateOf = (item) => (item.step ? "busy" : item.problem && !item.reply ? "failed" : isWaiting(item) && !item.reply ? "wait" : verdictOf(item) || "wait");

function draw(add) {
  const strip = $("strip");
  strip.hidden = state.items.length < 2;
  if (strip.hidden) return;
  const old = new Map([...strip.children].map((button) => [button.item, button]));
  const buttons = state.items.map((item, index) => {
    const button = old.get(item) ?? thumbnail(item), found = stateOf(item);
    const said = ["met", "look", "not-met"].includes(found) ? verdictText(item) : words.stripStates[found];
    button.setAttribute("aria-label", words.photoNumber(index + 1, said));
    button.setAttribute("aria-current", String(item === state.current));
    button.lastElementChild.textContent = MARKS[found];
    button.dataset.verdict = found;
    button.lastElementChild.className = `strip-mark ${found}`;
    paint(button.firstElementChild, item);
    return button;
  });
  const more = old.get(null) ?? made("button", { type: "button", className: "strip-item strip-add", textContent: "+", item: null, onclick: add });
  more.setAttribute("aria-label", words.addPhoto);
  const focused = document.activeElement;
  strip.replaceChildren(...buttons, more);
  if (strip.contains(focused)) focused.focus();
}

function thumbnail(item) {
  const mark = made("span", { className: "strip-mark" });
  mark.setAttribute("aria-hidden", "true");
  const canvas = made("canvas", { width: HIGH * 0.8, height: HIGH });
  const button = made("button", { type: "button", className: "strip-item", item }, canvas, mark);
  button.onclick = () => {
    state.current = item;
    if (!item.current && !item.problem) want(item);
    changed();
  };
  return button;
}

function paint(canvas, item) {
  const key = JSON.stringify([item.handle, item.made?.key, state.options.background]);
  if (canvas.shows === key || (!item.bitmap && !item.person)) return;
  canvas.shows = key;
  if (item.person && item.layers && state.size) {
    canvas.width = Math.round((HIGH * state.size.px[0]) / state.size.px[1]);
    drawFinished(canvas.getContext("2d"), item, item.made.size, HIGH / item.made.size.px[1]);
    return;
  }
  const scale = HIGH / item.bitmap.height;
  canvas.width = Math.round(item.bitmap.width * scale);
  canvas.getContext("2d").drawImage(item.bitmap, 0, 0, canvas.width, HIGH);
}
