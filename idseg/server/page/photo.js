// The ID photo panel: a size chosen, the finished photo with its guides, the checks, the downloads. The server keeps nothing, so
// every change sends the photo again; only the newest question's answer is shown.

import { PHOTO_TEXT } from "./photo_text.js";
import { TEXT } from "./text.js";
import { bytesOf } from "./picture.js";
import { drawGuides } from "./guides.js";

const $ = (id) => document.getElementById(id);
const PAUSE_MS = 250; // between the last change and the question
const USUAL = ["#ffffff", "#438edb", "#d9001b", "#c0c0c0"]; // where the document names no colour
const ORDER = ["fail", "unknown", "done", "pass"];
const MARKS = { pass: "✓", fail: "✕", unknown: "?", done: "↻" };
const NUMBER = /^\s*[\d.]+\s*[x×*]\s*[\d.]+\s*(mm|px|in)?(\s*@\s*\d+)?\s*$/i;

const state = { language: "en", post: null, save: null, sizes: null, papers: {}, photo: null, size: null, background: "", reply: null, problem: null, url: "", asking: null, timer: 0, note: null };
const words = () => PHOTO_TEXT[state.language];
const plain = (text) => text.toLowerCase().replace(/[\s\-_,、，]+/g, "");

function made(name, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(name), attributes);
  element.append(...children);
  return element;
}

// --- what the rest of the page calls ---

/** `post(path, photo, signal)` sends a photo; `save(name, blob)` downloads. */
export function setUp(post, save) {
  Object.assign(state, { post, save });
  $("size-word").oninput = () => list();
  $("id-guides-on").onchange = () => preview();
  $("id-save").onclick = () => state.reply && save(state.reply.photo.file.name, blobOf(state.reply.photo.file));
  $("id-sheet").onclick = sheet;
  $("id-retry").onclick = () => ask();
  new ResizeObserver(() => requestAnimationFrame(preview)).observe($("id-stage"));
}

/** A photo was accepted. The size that was chosen for the last one stays. */
export async function begin(photo) {
  state.photo = photo;
  if (!state.sizes) {
    const found = await fetch("/v1/sizes").then((answer) => answer.json()).catch(() => null);
    if (!found) return;
    state.sizes = found.sizes;
    state.papers = found.papers;
  }
  speak(state.language);
  if (state.size) ask();
}

export function forget() {
  clearTimeout(state.timer);
  state.asking?.abort();
  if (state.url) URL.revokeObjectURL(state.url);
  Object.assign(state, { photo: null, reply: null, problem: null, url: "", asking: null, note: null });
}

export function speak(language) {
  state.language = language;
  const text = words();
  for (const element of document.querySelectorAll("[data-photo]")) element.textContent = text[element.dataset.photo];
  $("size-word").placeholder = text.search;
  $("size-list").setAttribute("aria-label", text.sizesLabel);
  if (!state.sizes) return;
  papers();
  list();
  if (state.size) swatches();
  show();
}

// --- sizes ---

const titleOf = (size) => (state.language === "zh" ? size.zh : size.en) || size.name;
const px = (size) => `${+size.mm[0].toFixed(1)} × ${+size.mm[1].toFixed(1)} mm · ${size.px[0]} × ${size.px[1]} px`;

function country(code) {
  if (!/^[A-Z]{2}$/.test(code)) return "";
  return ["en", "zh"].map((language) => new Intl.DisplayNames(language, { type: "region" }).of(code)).join(" ");
}

function found(word) {
  const wanted = plain(word);
  return state.sizes.filter((size) => size.country.toLowerCase() === wanted || [size.name, size.en, size.zh, ...size.aka, country(size.country)].some((text) => plain(text).includes(wanted)));
}

function byNumber(text) {
  const name = text.replaceAll("×", "x").replace(/\s+/g, "");
  return { name, en: name, zh: name, aka: [], country: "", mm: null, background: [], background_hex: [], basis: "number", guide: "", source: "" };
}

function list() {
  const word = $("size-word").value;
  const rows = found(word);
  if (NUMBER.test(word)) rows.unshift(byNumber(word));
  $("size-list").replaceChildren(...rows.map(row));
  $("size-none").hidden = rows.length > 0;
  $("size-list").querySelector("input:checked")?.parentElement.scrollIntoView?.({ block: "nearest" });
}

function row(size) {
  const input = made("input", { type: "radio", name: "id-size", value: size.name, checked: state.size?.name === size.name });
  input.onchange = () => choose(size);
  const about = size.mm ? px(size) : words().byNumber;
  return made("label", { className: "size-row" }, input, made("span", { className: "size-title", textContent: titleOf(size) }), made("span", { className: "size-px", textContent: about }));
}

function choose(size) {
  state.size = size;
  state.background = size.background_hex[0] ?? USUAL[0];
  swatches();
  ask();
}

// --- the background ---

function swatches() {
  const colors = state.size.background_hex.length ? state.size.background_hex : USUAL;
  $("id-backs").replaceChildren(...colors.map((color) => {
    const input = made("input", { type: "radio", name: "id-back", value: color, checked: color === state.background });
    const name = colorName(color);
    input.setAttribute("aria-label", name);
    input.onchange = () => {
      state.background = color;
      ask();
    };
    const label = made("label", { title: name }, input);
    label.style.background = color;
    return label;
  }));
  $("id-back-rule").textContent = state.size.background_hex.length ? words().backRule : words().backFree;
}

function colorName(color) {
  const named = { "#ffffff": "white", "#438edb": "blue", "#d9001b": "red", "#c0c0c0": "grey" }[color];
  return named ? TEXT[state.language][named] : color;
}

function papers() {
  const chosen = $("id-paper").value || "6inch";
  $("id-paper").replaceChildren(...Object.keys(state.papers).map((name) => made("option", { value: name, textContent: words().papers[name] ?? name, selected: name === chosen })));
}

// --- asking the server ---

function query(more = {}) {
  return new URLSearchParams({ size: state.size.name, background: state.background, ...more });
}

/** Ask for the photo as it is chosen now, after a short pause; older questions are dropped. */
function ask() {
  clearTimeout(state.timer);
  state.asking?.abort();
  Object.assign(state, { asking: new AbortController(), problem: null });
  const { signal } = state.asking;
  $("id-photo").setAttribute("aria-busy", "true");
  $("id-status").textContent = words().working;
  show();
  state.timer = setTimeout(async () => {
    const reply = await answered(() => state.post(`/v1/photo?${query()}`, state.photo, signal), (answer) => answer.json());
    if (!signal.aborted) receive(reply);
  }, PAUSE_MS);
}

/** The answer, or `{error: {reason, message}}`. */
async function answered(call, read) {
  try {
    const answer = await call();
    return answer.ok ? await read(answer) : await answer.json();
  } catch {
    return { error: { reason: "network" } };
  }
}

function receive(reply) {
  if (state.url) URL.revokeObjectURL(state.url);
  $("id-photo").removeAttribute("aria-busy");
  Object.assign(state, { asking: null, note: null, url: "", problem: reply.error ?? null, reply: reply.error ? null : reply });
  if (state.reply) state.url = URL.createObjectURL(blobOf(reply.photo.file));
  show();
  $("id-status").textContent = state.reply ? verdict() : "";
}

const blobOf = (file) => new Blob([bytesOf(file.base64)], { type: file.media_type });

async function sheet() {
  const button = $("id-sheet");
  button.disabled = true;
  button.textContent = words().sheetWorking;
  const asked = state.reply;
  const file = await answered(
    () => state.post(`/v1/photo/sheet?${query({ paper: $("id-paper").value })}`, state.photo),
    async (answer) => ({ blob: await answer.blob(), facts: JSON.parse(answer.headers.get("x-idseg-facts")), name: /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1] }),
  );
  button.disabled = false;
  button.textContent = words().sheet;
  if (asked !== state.reply) return;
  if (file.error) state.problem = file.error;
  else {
    state.problem = null;
    state.note = file.facts;
    state.save(file.name, file.blob);
  }
  show();
}

// --- showing ---

function show() {
  const { reply, problem, size } = state;
  $("id-empty").hidden = Boolean(size);
  $("id-busy").hidden = !state.asking;
  $("id-view").toggleAttribute("hidden", !reply); // SVG elements have no property of that name
  $("id-stage").hidden = Boolean(problem) && !reply;
  $("id-more").hidden = !size || $("id-stage").hidden;
  $("id-saving").hidden = !reply;
  $("id-checks").hidden = !reply;
  $("id-problem").hidden = !problem;
  if (problem) complain(problem);
  $("id-background").hidden = !size;
  if (!size) return;
  $("id-source").replaceChildren(words().bases[size.basis] ?? "");
  if (size.guide) $("id-source").append(" ", made("a", { href: size.guide, target: "_blank", rel: "noopener noreferrer", textContent: words().source, title: size.source }));
  $("id-sheet-note").textContent = state.note ? words().sheetSaved(state.note.photos, state.note.paper_mm.map((side) => Math.round(side)).join(" × ")) : "";
  if (!reply) return;
  const { format, kb } = reply.photo.file;
  $("id-save").textContent = words().save(format, kb < 10 ? kb : Math.round(kb));
  $("id-about").textContent = [...lacks(reply.photo), words().unretouched].join(words().between);
  preview();
  checks();
}

function lacks(photo) {
  return [Object.keys(photo.lacks_mm).length && words().warnings.lacks, photo.scaled > 1.05 && words().warnings.enlarged].filter(Boolean);
}

function complain({ reason, message, persons }) {
  const [title, why, todo] = reason === "option" ? [words().option[0], message, words().option[1]] : (TEXT[state.language].problems[reason] ?? TEXT[state.language].problems.internal);
  $("id-retry").hidden = reason === "option"; // the same would be refused again
  const lines = [made("strong", { textContent: title }), why.replace("{persons}", persons ?? ""), todo];
  $("id-problem-text").replaceChildren(...lines.map((line) => made("span", {}, line)));
}

function preview() {
  const room = $("id-stage").clientWidth - 24;
  if (!state.reply || room < 150) return;
  drawGuides($("id-view"), state.reply.photo, state.url, room, $("id-guides-on").checked, words());
  $("id-view").setAttribute("aria-label", words().preview(titleOf(state.size)));
}

// The old background is judged in the report; the finished photo has a new one.
const PLAIN = { "met": "pass", "not met": "fail", "check yourself": "unknown", "not applicable": "pass" };
const statusOf = (rule) => (rule.rule.startsWith("background_") && PLAIN[rule.status] !== "pass" ? "done" : PLAIN[rule.status]);
const count = (...statuses) => state.reply.check.rules.filter((rule) => statuses.includes(statusOf(rule))).length;
const verdict = () => words().verdict(count("pass", "done"), count("fail"), count("unknown"));

function checks() {
  const rules = [...state.reply.check.rules].sort((one, other) => ORDER.indexOf(statusOf(one)) - ORDER.indexOf(statusOf(other)));
  $("id-verdict").textContent = verdict();
  $("id-verdict").className = count("fail") ? "broken" : "";
  $("id-rules").replaceChildren(...rules.map((rule) => {
    const status = statusOf(rule);
    const mark = made("span", { className: "mark", textContent: MARKS[status] });
    mark.setAttribute("aria-hidden", "true");
    const name = made("span", { className: "rule" }, words().rules[rule.rule] ?? rule.term, made("span", { className: "visually-hidden", textContent: `: ${words().statuses[status]}` }));
    const item = made("li", { className: status, title: rule.term }, mark, name, made("span", { className: "value", textContent: valueOf(rule) }));
    const advice = adviceFor(rule, status);
    if (advice) item.append(made("span", { className: "advice", textContent: advice }));
    item.dataset.rule = rule.rule;
    return item;
  }));
}

function figure(value, unit) {
  if (unit === "share") return `${+(value * 100).toFixed(0)} %`;
  const size = Math.abs(value);
  return `${+value.toFixed(size < 1 ? 2 : size < 100 ? 1 : 0)}${unit === "degrees" ? "°" : ""}`;
}

/** The value and what is allowed, in units that people know. */
function valueOf({ value, unit, allowed: [low, high] }) {
  if (value === null || unit === "persons") return "";
  const known = ["mm", "px", "dpi", "KB"].includes(unit) ? unit : unit === "mm missing" ? "mm" : unit === "px high" ? "px" : unit === "times enlarged" ? "×" : "";
  const shown = `${figure(value, unit)}${known && ` ${known}`}`;
  if (low === null && high === null) return shown;
  if (low === high) return `${shown} (${figure(low, unit)})`;
  if (low !== null && low === -high) return `${shown} (±${figure(high, unit)})`;
  if (low === null) return `${shown} (≤ ${figure(high, unit)})`;
  if (high === null) return `${shown} (≥ ${figure(low, unit)})`;
  return `${shown} (${figure(low, unit)} – ${figure(high, unit)})`;
}

function adviceFor(rule, status) {
  if (status === "pass") return "";
  if (status === "done") return words().replaced;
  if (state.language === "en") return rule.advice;
  const told = words().advice[rule.rule] ?? rule.advice;
  if (rule.rule === "head_uncovered") return told;
  if (rule.value === null && status === "unknown") return words().cannotTell;
  const todo = Array.isArray(told) ? told[rule.value > (rule.allowed[1] ?? Infinity) ? 1 : 0] : told;
  return status === "unknown" ? `${words().tooClose}${todo}` : todo;
}
