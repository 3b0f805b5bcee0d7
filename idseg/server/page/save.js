// Background, file options and Save. A change of background is drawn at once; the file follows from the server.

import { $, made, shape, words } from "./words.js";
import { NO_CHANGE, cropOnly, onChange, state } from "./state.js";
import { isWorking, want, wantAll } from "./item.js";
import { doneText } from "./done.js";
import { canEncode, encoded, suffixOf } from "./encode.js";
import { beyond, canDraw, finishedCanvas } from "./stage.js";
import { verdictOf, verdictText } from "./verdict.js";
import { zipped } from "./zip.js";

const USUAL = ["#ffffff", "#438edb", "#d9001b", "#c0c0c0"];
const NAMES = { "#d9d9d9": "lightGrey", "#f0f0f0": "offWhite", "#a0dcff": "lightBlue", "#db1514": "red", "#0090ff": "blue", "#2b5fa8": "darkBlue", "#fffdd0": "cream", "#f5f0dc": "beige", "#cfe2f3": "paleBlue", "#a0c8f0": "lightBlue", "#bebebe": "grey", "#ffffff": "white", "#438edb": "blue", "#d9001b": "red", "#ff0000": "red", "#c0c0c0": "grey", "#d3d3d3": "lightGrey", "#e6e6e6": "lightGrey", "#e5e5e5": "lightGrey", "#eeeeee": "lightGrey", "#f5f5f5": "offWhite", "#fafafa": "offWhite", "#808080": "grey", "#add8e6": "lightBlue", "#64c5ff": "lightBlue" };
const GRADIENT = "vertical:#438edb,#ffffff";
const FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "PDF"];
const PAUSE_MS = 150;

let own = "#7fa88b", seen = "";

export function setUpSave() {
  onChange(draw);
  for (const [id, name] of [["format", "format"], ["kb-least", "kbLeast"], ["kb-most", "kbMost"], ["dpi", "dpi"]]) $(id).onchange = () => option(name, $(id).value);
  $("px-wide").onchange = () => pixels("px-wide", 0);
  $("px-high").onchange = () => pixels("px-high", 1);
  $("save").onclick = () => save();
  $("save-all").onclick = saveAll;
}

function option(name, value) {
  state.options[name] = value;
  wantAll(PAUSE_MS);
}

/** Width and height hang together: the document's shape stays. */
function pixels(id, index) {
  const value = Math.round(Number($(id).value)), [width, height] = state.size.px;
  if (!(value >= 16)) return option("px", "");
  option("px", index ? `${Math.round((value * width) / height)}x${value}` : `${value}x${Math.round((value * height) / width)}`);
}

// --- the background ---

export const backgroundName = (background) => words.backgrounds[NAMES[background] ?? { transparent: "transparent", keep: "keep", [GRADIENT]: "gradient" }[background]] ?? background;

function choices() {
  const wanted = state.size.background_hex ?? [];
  return [...new Set([...wanted, ...USUAL]), GRADIENT, "transparent", "own", "keep"];
}

function swatch(value) {
  const { background } = state.options, isOwn = value === "own", name = isOwn ? words.backgrounds.own : backgroundName(value);
  const chosen = isOwn ? !choices().includes(background) : background === value;
  const input = made("input", { type: "radio", name: "background", value, checked: chosen });
  input.setAttribute("aria-label", name);
  const label = made("label", { className: "swatch", title: name }, input);
  input.onchange = () => setBackground(isOwn ? own : value);
  if (value === "keep") {
    label.classList.add("photo");
    label.append(made("span", { textContent: name }));
  } else if (isOwn) label.append(ownColor(input));
  else label.append(sample(value));
  return label;
}

/** The colour picker lies over the radio button, so that one click opens it; the radio shows the ring. */
function ownColor(radio) {
  const picker = made("input", { type: "color", value: own, tabIndex: -1 });
  picker.setAttribute("aria-hidden", "true");
  picker.oninput = () => {
    own = picker.value;
    setBackground(own);
  };
  radio.onclick = () => picker.click();
  const ring = shape("svg", { viewBox: "0 0 46 46", "aria-hidden": "true" });
  const colors = ["#e5484d", "#f2c14e", "#5bb98c", "#3e7bfa", "#a06be0"];
  colors.forEach((color, index) => {
    const [from, to] = [index, index + 1].map((step) => (step / colors.length) * 2 * Math.PI);
    ring.append(shape("path", { fill: color, d: `M23 23L${23 + 23 * Math.cos(from)} ${23 + 23 * Math.sin(from)}A23 23 0 0 1 ${23 + 23 * Math.cos(to)} ${23 + 23 * Math.sin(to)}z` }));
  });
  ring.append(shape("circle", { cx: 23, cy: 23, r: 12, fill: own, stroke: "#fff", "stroke-width": 2 }));
  picker.className = "visually-hidden";
  const both = document.createDocumentFragment();
  both.append(ring, picker);
  return both;
}

function sample(value) {
  const svg = shape("svg", { viewBox: "0 0 2 2", "aria-hidden": "true" });
  if (value === "transparent") {
    svg.append(shape("rect", { width: 2, height: 2, fill: "#fff" }));
    for (let at = 0; at < 8; at++) svg.append(shape("rect", { x: (at % 4) * 0.5, y: Math.floor(at / 4) * 1 + (at % 2) * 0.5, width: 0.5, height: 0.5, fill: "#9aa1a9" }));
  } else if (value === GRADIENT) {
    const gradient = shape("linearGradient", { id: "swatch-gradient", x2: 0, y2: 1 });
    gradient.append(shape("stop", { "stop-color": "#438edb" }), shape("stop", { offset: 1, "stop-color": "#fff" }));
    svg.append(gradient, shape("rect", { width: 2, height: 2, fill: "url(#swatch-gradient)" }));
  } else svg.append(shape("rect", { width: 2, height: 2, fill: value }));
  return svg;
}

export function setBackground(background) {
  state.options.background = background;
  for (const item of background === "keep" ? state.items : []) if (item.layers && beyond(item, item.adjust) > 1) item.adjust = { ...NO_CHANGE, light: item.adjust.light };
  if (background === "transparent" && ["JPEG", "PDF"].includes(state.options.format)) state.options.format = "";
  wantAll(PAUSE_MS);
}

function backgroundNote() {
  const wanted = state.size.background_hex ?? [], { background } = state.options;
  if (cropOnly(state.size)) return background === "keep" ? words.backKeep : words.backRefused;
  if (!wanted.length) return words.backFree;
  const rule = words.backRule([...new Set(wanted.map(backgroundName))].join(" / "));
  return wanted.includes(background) || state.size.background_any_light ? rule : `${words.backOther} ${rule}`;
}

// --- drawing ---

function draw() {
  const item = state.current, { size, options } = state;
  const able = Boolean(size && item);
  for (const id of ["background-card", "file-card"]) $(id).hidden = !able || Boolean(item.problem && !item.reply);
  $("save-bar").hidden = !able || (item.problem && !item.reply && state.items.length < 2);
  if (!able) return;
  const now = JSON.stringify([document.documentElement.lang, size.name, options.background, own]);
  if (now !== seen) {
    seen = now;
    const focused = document.activeElement?.name === "background";
    $("backgrounds").replaceChildren(...choices().map(swatch));
    if (focused) $("backgrounds").querySelector("input:checked")?.focus();
    $("format").replaceChildren(made("option", { value: "", textContent: words.auto }), ...FORMATS.map((name) => made("option", { value: name, textContent: name, selected: options.format === name })));
  }
  $("background-note").textContent = backgroundNote();
  fileOptions(size, options, item);
  doneLine(item);
  saveBar(item);
}

function fileOptions(size, options, item) {
  const [least, most] = size.kb ?? [], px = options.px ? options.px.split("x") : size.px;
  const fill = (id, value, hint = "") => {
    if (document.activeElement !== $(id)) $(id).value = value;
    $(id).placeholder = hint;
  };
  fill("kb-least", options.kbLeast, least ? String(least) : "–");
  fill("kb-most", options.kbMost, most && Number.isFinite(most) ? String(most) : "–");
  fill("dpi", options.dpi, String(size.dpi));
  fill("px-wide", px[0]);
  fill("px-high", px[1]);
  $("file-summary").textContent = item.made && (item.current || !item.problem) ? fileText(item) : "";
  const refused = item.problem?.reason === "option" && item.reply;
  $("file-problem").hidden = !refused;
  if (refused) $("file-problem").textContent = `${words.problems.option[0]}: ${item.problem.message}`;
}

function fileText({ made: { file }, reply }) {
  return `${file.format} · ${file.kb < 10 ? file.kb : Math.round(file.kb)} KB · ${reply.photo.px.join("\u00a0×\u00a0")}\u00a0px`;
}

/** Under the photo: what was done to it. Pale while a change is under way. */
function doneLine(item) {
  const told = item.reply && !item.problem;
  $("done-line").hidden = !told;
  if (!told) return;
  $("done-line").textContent = doneText(item.reply.photo, item.before, words, backgroundName);
  $("done-line").setAttribute("aria-busy", String(!item.current));
}

/** Calm only where the photo is good: else the way to a better one comes first. Of several photos, all are saved at once. */
function saveBar(item) {
  const verdict = verdictOf(item), bad = verdict === "not-met" || (item.problem && !item.reply);
  const done = state.items.filter((one) => one.made).length;
  const several = state.items.length > 1, refused = Boolean(item.problem && !item.reply);
  $("save").textContent = bad ? words.saveAnyway : several ? words.saveThis : words.save;
  $("save").disabled = !item.made || Boolean(item.problem && !item.current && !formatHere(item));
  $("save").hidden = refused;
  $("save").classList.toggle("primary", !bad && !several);
  $("another").classList.toggle("primary", Boolean(bad) && !several);
  $("another").hidden = refused || several; // the problem has the one button; the strip has a plus
  $("save-all").hidden = !several;
  $("save-all").classList.toggle("primary", !refused);
  $("save-all").disabled = done < state.items.length;
  $("save-all").textContent = words.saveAll(state.items.length);
  const line = $("save-verdict"), told = verdict && !item.problem;
  line.hidden = !told;
  line.className = `save-verdict ${verdict}`;
  if (told) line.firstElementChild.textContent = verdictText(item);
  $("save-about").textContent = aboutOf(item);
}

function aboutOf(item) {
  if (!item.reply) return "";
  if (!item.problem || item.current) return fileText(item);
  return formatHere(item) ? words.madeHere(formatHere(item)) : item.problem.reason === "option" ? "" : words.serverNeeded;
}

// --- saving ---

export function download(name, blob) {
  const link = made("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  $("note").textContent = words.saved(name);
}

/** The format of a file that the browser can make for what is chosen now, because the server gives none; "" where it cannot. */
function formatHere(item) {
  const { format, background } = state.options, clear = background === "transparent";
  if (!item.problem || item.current || item.problem.reason === "option" || !canDraw(item)) return "";
  const wanted = format || (clear ? "PNG" : "JPEG");
  return canEncode(wanted) && !(clear && wanted === "JPEG") ? wanted : "";
}

async function madeHere(item) {
  const { options, size } = state, format = formatHere(item);
  if (!format) return null;
  const [least, most] = options.kbLeast || options.kbMost ? [options.kbLeast, options.kbMost] : size.kb ?? [];
  const blob = await encoded(await finishedCanvas(item), format, Number(options.dpi) || size.dpi, [Number(least) || 0, Number(most) || Infinity]);
  return blob && { name: size.name + suffixOf(format), blob };
}

/** The file of what is chosen now: the server's, else one made here, else null. */
async function fileOf(item) {
  if (!item.current && !item.problem) {
    want(item);
    await settled(item);
  }
  return item.current ? item.made : madeHere(item);
}

async function save() {
  const file = await fileOf(state.current);
  if (file) download(file.name, file.blob);
  else $("save-about").textContent = words.serverNeeded;
}

async function saveAll() {
  const items = [...state.items], files = [];
  for (const item of items) {
    if (item.problem) want(item);
    await settled(item);
    const file = await fileOf(item);
    if (file) files.push([`${stemOf(item.name)}-${file.name}`, file.blob]);
  }
  if (files.length) download(`${state.size.name}.zip`, await zipped(files));
}

const stemOf = (name) => name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 60) || "photo";

/** Until nothing is done for the item: it is finished, refused, or cancelled. */
function settled(item) {
  return new Promise((resolve) => {
    const look = () => (isWorking(item) ? setTimeout(look, 30) : resolve());
    look();
  });
}
