// The verdict before Save: rules that are not met, rules for the user to check, and the others folded.

import { $, language, made, ruleWords, words } from "./words.js";
import { onChange, state } from "./state.js";

const MARKS = { met: "✓", "not met": "✕", "check yourself": "?", "not applicable": "–" };
const MOST_OPEN = 4; // the rest stands in the folded list
const ORDER = ["not met", "check yourself", "met", "not applicable"];

const rulesOf = (item, status) => (item.reply?.check.rules ?? []).filter((rule) => rule.status === status);
export const faultsOf = (item) => rulesOf(item, "not met");

/** "met", "look" (the user must check a rule), "not-met"; "" if unknown. */
export function verdictOf(item) {
  if (!item?.reply) return "";
  return faultsOf(item).length ? "not-met" : rulesOf(item, "check yourself").length ? "look" : "met";
}

export function verdictText(item) {
  const faults = faultsOf(item), open = rulesOf(item, "check yourself");
  if (faults.length) return words.toFix(faults.length, ruleWords(faults[0]).fault);
  return open.length ? words.readyLook(open.length) : words.ready;
}

export function setUpVerdict() {
  onChange(draw);
}

function draw() {
  const item = state.current, shown = Boolean(item?.reply) && !item.problem;
  $("verdict").hidden = !shown;
  if (!shown) return;
  const faults = faultsOf(item), open = rulesOf(item, "check yourself");
  $("verdict").className = `card verdict ${verdictOf(item)}`;
  $("verdict").setAttribute("aria-busy", String(!item.current));
  $("verdict-title").textContent = verdictText(item);
  $("faults").replaceChildren(...faults.map((rule, index) => entry(rule, String(index + 1), faults.length === 1)));
  $("confirm").replaceChildren(...open.slice(0, MOST_OPEN).map((rule) => entry(rule, "?")));
  const passed = rulesOf(item, "met").length;
  $("passes-title").textContent = passed ? words.passes(passed) : words.passesNone;
  const sorted = [...item.reply.check.rules].sort((one, other) => ORDER.indexOf(one.status) - ORDER.indexOf(other.status));
  $("rules").replaceChildren(...sorted.map(row));
  $("basis").replaceChildren(...basisOf(item.made.size));
}

/** `told`: the title above already names the problem. */
function entry(rule, mark, told = false) {
  const { name, fault, todo } = ruleWords(rule);
  const badge = made("span", { className: "badge", textContent: mark });
  badge.setAttribute("aria-hidden", "true");
  const title = rule.status === "not met" && fault !== rule.term ? fault[0].toUpperCase() + fault.slice(1) : name;
  const item = made("li", {}, badge, ...(told && todo ? [] : [made("strong", { textContent: title })]), made("span", { textContent: todo }));
  item.dataset.rule = rule.rule;
  return item;
}

function row(rule) {
  const state = made("span", { className: "state", textContent: MARKS[rule.status] });
  state.setAttribute("role", "img");
  state.setAttribute("aria-label", words.states[rule.status]);
  const item = made("li", language === "en" ? { title: rule.term } : {}, made("span", {}, state, ruleWords(rule).name), made("span", { className: "figure", textContent: figureOf(rule) }));
  item.dataset.rule = rule.rule;
  item.dataset.status = rule.status;
  return item;
}

export function basisOf(size) {
  const parts = [words.bases[size.basis] ?? ""];
  const url = size.guide || size.url;
  if (url) parts.push(" ", made("a", { href: url, target: "_blank", rel: "noopener noreferrer", textContent: words.source }));
  return parts;
}

/** Remove the minus of a value that rounds to zero. */
export const signless = (text) => (Number(text) === 0 ? text.replace("-", "") : text);

function rounded(value, unit) {
  if (unit === "share") return `${signless((value * 100).toFixed(0))} %`;
  const size = Math.abs(value);
  return `${signless(String(+value.toFixed(size < 1 ? 2 : size < 100 ? 1 : 0)))}${unit === "degrees" ? "°" : ""}`;
}

/** The value and the allowed range, in common units. */
function figureOf({ value, unit, allowed }) {
  const [low, high] = allowed ?? [null, null];
  if (value === null || value === undefined || unit === "persons") return "";
  const known = { mm: "mm", px: "px", dpi: "dpi", KB: "KB", "mm missing": "mm", "px high": "px", "times enlarged": "×" }[unit] ?? "";
  const shown = `${rounded(value, unit)}${known && ` ${known}`}`;
  if (low === null && high === null) return shown;
  if (low === high) return `${shown} (${rounded(low, unit)})`;
  if (low !== null && low === -high) return `${shown} (±${rounded(high, unit)})`;
  if (low === null) return `${shown} (≤ ${rounded(high, unit)})`;
  if (high === null) return `${shown} (≥ ${rounded(low, unit)})`;
  return `${shown} (${rounded(low, unit)}–${rounded(high, unit)})`;
}
