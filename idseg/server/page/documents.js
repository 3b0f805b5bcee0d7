// Choosing a document: tiles for popular documents by language, and a search with Enter and arrow keys.

import * as server from "./server.js";
import { $, language, made, measuresOf, printedSize, shape, shortTitleOf, titleOf, words } from "./words.js";
import { changed, onChange, state } from "./state.js";

const PAUSE_MS = 120;
const POPULAR = {
  en: ["us-passport", "us-visa", "gb-passport", "schengen-visa", "in-passport", "ca-passport", "au-passport", "de-passport", "cn-visa"],
  zh: ["cn-1inch", "cn-2inch", "cn-small-2inch", "cn-small-1inch", "cn-id-card", "cn-passport", "us-visa", "jp-visa", "schengen-visa"],
};

const known = { sizes: null, failed: false };
const pickers = [];
let onPick = () => {};

/** `pick(size)` is called with the chosen row. */
export function setUpDocuments(pick) {
  onPick = pick;
  pickers.push(new Picker($("start-picker"), "start"), new Picker($("dialog-picker"), "dialog"));
  onChange(() => pickers.forEach((picker) => picker.draw()));
  $("change-document").onclick = openPicker;
  $("document-close").onclick = () => $("document-dialog").close();
}

export function openPicker() {
  if (!$("document-dialog").open) $("document-dialog").showModal();
}

/** Load all documents once; call again if loading failed. */
export async function loadSizes() {
  known.failed = false;
  try {
    const found = await server.sizes("");
    known.sizes = found.sizes;
    state.papers = found.papers;
  } catch {
    known.failed = true;
  }
  changed();
}

export const sizeNamed = (name) => known.sizes?.find((size) => size.name === name) ?? null;

function picture(size) {
  const [width, height] = size.mm, scale = Math.min(34 / width, 46 / height), wide = width * scale, high = height * scale;
  const svg = shape("svg", { viewBox: "0 0 36 48", "aria-hidden": "true" });
  const left = (36 - wide) / 2, top = (48 - high) / 2, color = size.background_hex[0] ?? "#ffffff";
  const head = high * 0.3, middle = top + high * 0.42;
  svg.append(
    shape("rect", { class: "tile-paper", x: left, y: top, width: wide, height: high, rx: 1.5, fill: color }),
    shape("path", { class: "tile-person", d: `M${18 - wide * 0.36} ${top + high}c0-${high * 0.2} ${wide * 0.14}-${high * 0.26} ${wide * 0.36}-${high * 0.26}s${wide * 0.36} ${high * 0.06} ${wide * 0.36} ${high * 0.26}z` }),
    shape("ellipse", { class: "tile-person", cx: 18, cy: middle, rx: head * 0.62, ry: head * 0.82 }),
  );
  svg.querySelector(".tile-paper").style.fill = color;
  return svg;
}

/** How the server interpreted the query. */
function readAs({ number, left_out: leftOut }) {
  const told = number ? [words.readNumber(`${number.width} × ${number.height}`, words.units[number.unit], number.guessed)] : [];
  return [...told, ...(leftOut?.length ? [words.leftOut(leftOut.join(words.comma))] : [])].join(" · ");
}

class Picker {
  constructor(place, prefix) {
    place.append($("picker-template").content.cloneNode(true));
    this.root = place.firstElementChild;
    const find = (selector) => this.root.querySelector(selector);
    Object.assign(this, { picked: find(".picked"), tiles: find(".tiles"), input: find("input"), list: find(".found"), note: find(".search-note"), problem: find(".search-problem"), rows: [], at: -1, read: "", prefix, seen: "" });
    this.input.id = `search-${prefix}`;
    this.list.id = `found-${prefix}`;
    find(".search-label").htmlFor = this.input.id;
    this.input.setAttribute("aria-controls", this.list.id);
    this.input.oninput = () => this.ask();
    this.input.onkeydown = (event) => this.key(event);
    this.problem.querySelector("button").onclick = async () => {
      await loadSizes();
      if (this.input.value.trim()) this.ask();
    };
  }

  draw() {
    this.input.placeholder = words.searchHint;
    this.list.setAttribute("aria-label", words.searchLabel);
    this.problem.hidden = !known.failed;
    this.picked.hidden = !state.size;
    if (state.size) {
      this.picked.querySelector("strong").textContent = titleOf(state.size);
      this.picked.querySelector(".hint").textContent = measuresOf(state.size);
    }
    const seen = JSON.stringify([language, state.size?.name, known.sizes?.length]);
    if (seen === this.seen) return;
    this.seen = seen;
    this.tiles.replaceChildren(...POPULAR[language].map(sizeNamed).filter(Boolean).map((size) => this.tile(size)));
    this.show();
  }

  tile(size) {
    const tile = made("button", { type: "button", className: "tile" }, picture(size), made("span", { className: "tile-title", textContent: shortTitleOf(size) }), made("span", { className: "tile-size", textContent: printedSize(size) }));
    tile.setAttribute("aria-pressed", state.size?.name === size.name);
    tile.dataset.size = size.name;
    tile.onclick = () => onPick(size);
    return tile;
  }

  ask() {
    clearTimeout(this.timer);
    this.asking?.abort();
    const word = this.input.value.trim();
    if (!word) return this.receive([]);
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.timer = setTimeout(async () => {
      try {
        const found = await server.sizes(word, signal);
        known.failed = false;
        this.receive(found.sizes, found);
      } catch (error) {
        if (error.name === "AbortError") return;
        known.failed = true;
        this.receive([]);
      }
      changed();
    }, PAUSE_MS);
  }

  receive(rows, read = {}) {
    Object.assign(this, { rows, read: readAs(read), at: rows.length ? 0 : -1 });
    this.show();
  }

  show() {
    const word = this.input.value.trim();
    this.list.hidden = !this.rows.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.list.replaceChildren(...this.rows.map((size, index) => this.row(size, index)));
    this.mark();
    this.note.textContent = !word || known.failed ? "" : this.rows.length ? [words.foundCount(this.rows.length), this.read].filter(Boolean).join(" · ") : words.nothingFound;
  }

  row(size, index) {
    const row = made("li", { id: `${this.prefix}-option-${index}` }, made("span", { textContent: titleOf(size) }), made("span", { textContent: size.px ? measuresOf(size) : "" }));
    row.setAttribute("role", "option");
    row.classList.toggle("chosen", state.size?.name === size.name);
    row.dataset.size = size.name;
    row.onclick = () => this.pick(size);
    return row;
  }

  mark() {
    [...this.list.children].forEach((row, index) => row.setAttribute("aria-selected", String(index === this.at)));
    const row = this.list.children[this.at];
    if (row) {
      this.input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const last = this.rows.length - 1;
    const to = { ArrowDown: Math.min(last, this.at + 1), ArrowUp: Math.max(0, this.at - 1), Home: 0, End: last }[event.key];
    if (last >= 0 && to !== undefined && !(["Home", "End"].includes(event.key) && event.shiftKey)) {
      event.preventDefault();
      this.at = to;
      this.mark();
    } else if (event.key === "Enter" && this.rows[this.at]) {
      event.preventDefault();
      this.pick(this.rows[this.at]);
    } else if (event.key === "Escape" && this.input.value) {
      event.preventDefault();
      event.stopPropagation();
      this.clear();
    }
  }

  pick(size) {
    this.clear();
    onPick(size);
  }

  clear() {
    this.input.value = "";
    this.asking?.abort();
    clearTimeout(this.timer);
    this.receive([]);
  }
}
