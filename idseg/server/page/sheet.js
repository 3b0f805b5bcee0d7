// The print sheet: paper, copies, a preview drawn here, and the file from the server.

import * as server from "./server.js";
import { blobOf } from "./prepare.js";
import { $, language, made, words } from "./words.js";
import { onChange, state } from "./state.js";
import { questionFor } from "./item.js";
import { download } from "./save.js";
import { drawFinished } from "./stage.js";

const MOST_COPIES = 12;
const PREVIEW_PX = 300;
let layout = null, asking = null, seen = "";

export function setUpSheet() {
  onChange(draw);
  for (const [id, name] of [["paper", "paper"], ["copies", "copies"], ["sheet-format", "sheetFormat"]]) {
    $(id).onchange = () => {
      state.options[name] = $(id).value;
      $("sheet-note").textContent = "";
      draw();
    };
  }
  $("sheet-options").ontoggle = draw;
  $("save-sheet").onclick = save;
}

/** "6 inch (4R)" and "4 x 6 in" are the same paper; the first of equal papers is kept. */
export function papersOnce(papers) {
  const found = new Map();
  for (const [name, sides] of Object.entries(papers)) {
    const key = sides.map((side) => Math.round(side)).join("x");
    if (!found.has(key)) found.set(key, name);
  }
  return [...found.values()];
}

const paperName = (name) => words.papers[name] ?? name;
const usualPaper = () => "6inch";

function draw() {
  if (!$("sheet-options").open || !state.size || !state.current) return;
  const { options } = state, names = papersOnce(state.papers);
  options.paper ||= usualPaper();
  const choices = JSON.stringify([language, names]);
  if (choices !== seen) {
    seen = choices;
    $("paper").replaceChildren(...names.map((name) => made("option", { value: name, textContent: paperName(name) })));
    $("copies").replaceChildren(made("option", { value: "", textContent: words.asMany }), ...Array.from({ length: MOST_COPIES }, (_, index) => made("option", { value: String(index + 1), textContent: String(index + 1) })));
    $("sheet-format").replaceChildren(...["jpeg", "pdf"].map((value) => made("option", { value, textContent: value === "jpeg" ? words.sheetJpeg : words.sheetPdf })));
  }
  $("paper").value = options.paper;
  $("copies").value = options.copies;
  $("sheet-format").value = options.sheetFormat;
  const clear = options.background === "transparent";
  $("save-sheet").disabled = clear || !state.current.made;
  if (clear) $("sheet-note").textContent = words.sheetNo;
  preview();
}

const layoutKey = () => JSON.stringify([state.size.name, state.options.paper, state.options.copies]);

async function ask(parameters) {
  asking?.abort();
  asking = new AbortController();
  const { options, current } = state;
  return server.photo({ ...questionFor(current), handle: current.handle, format: "", kb: "", paper: options.paper, copies: options.copies, ...parameters }, asking.signal);
}

async function preview() {
  const key = layoutKey(), item = state.current;
  if (!item.handle || !item.layers || state.options.background === "transparent") return;
  if (layout?.key !== key) {
    if (asking?.key === key) return;
    try {
      const asked = ask({ sheet_format: "pdf" });
      asking.key = key;
      const reply = await asked;
      layout = { key, spots: reply.sheet.spots, paper: reply.sheet.paper_mm };
      $("sheet-note").textContent = "";
    } catch (error) {
      if (error.name !== "AbortError") $("sheet-note").textContent = error.reason === "option" ? `${words.problems.option[0]}: ${error.message}` : words.problems[error.reason]?.[0] ?? words.problems.internal[0];
      return;
    } finally {
      asking = null;
    }
    if (key !== layoutKey()) return draw();
  }
  drawLayout(item);
}

function drawLayout(item) {
  const canvas = $("sheet-preview"), [wide, high] = layout.paper, scale = (2 * PREVIEW_PX) / Math.max(wide, high);
  canvas.width = Math.round(wide * scale);
  canvas.height = Math.round(high * scale);
  canvas.style.width = `${canvas.width / 2}px`;
  const context = canvas.getContext("2d"), size = item.made?.size;
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (!size) return;
  const width = Math.max(1, Math.round(size.mm[0] * scale)), one = new OffscreenCanvas(width, Math.round(size.mm[1] * scale));
  drawFinished(one.getContext("2d"), item, size, width / size.px[0]);
  context.strokeStyle = "#9aa1a9";
  for (const [left, top, w, h, turned] of layout.spots) {
    context.save();
    context.translate((left + w / 2) * scale, (top + h / 2) * scale);
    if (turned) context.rotate(Math.PI / 2);
    context.drawImage(one, -one.width / 2, -one.height / 2);
    context.strokeRect(-one.width / 2, -one.height / 2, one.width, one.height);
    context.restore();
  }
  canvas.setAttribute("aria-label", words.sheetLabel(layout.spots.length, paperName(state.options.paper)));
}

async function save() {
  const { options } = state;
  $("save-sheet").disabled = true;
  try {
    const { sheet } = await ask({ sheet_format: options.sheetFormat });
    download(sheet.file.name, blobOf(sheet.file));
    $("sheet-note").textContent = words.sheetSaved(sheet.photos, paperName(options.paper));
  } catch (error) {
    if (error.name !== "AbortError") $("sheet-note").textContent = (words.problems[error.reason] ?? words.problems.internal).slice(0, 2).join(". ").replace("{message}", error.message);
  }
  asking = null;
  $("save-sheet").disabled = false;
}
