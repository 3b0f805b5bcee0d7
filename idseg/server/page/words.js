// The language of the page: choosing it, its texts, and inserting them where the markup refers to them.

import en from "./text_en.js";
import zh from "./text_zh.js";
import rules from "./rules_text.js";

const TEXT = { en, zh };
export let language = firstLanguage();
export let words = TEXT[language];

function firstLanguage() {
  const kept = localStorage.getItem("idseg-language");
  if (kept in TEXT) return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function speak(chosen = language) {
  language = chosen;
  words = TEXT[language];
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = words.title;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = words[element.dataset.t];
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", words[element.dataset.label]);
}

export function switchLanguage() {
  localStorage.setItem("idseg-language", language === "en" ? "zh" : "en");
  speak(language === "en" ? "zh" : "en");
}

/** A rule's texts: name, problem, advice. English advice comes with the report. */
export function ruleWords(rule) {
  const [name, fault, todo] = rules[language][rule.rule] ?? [rule.term, rule.term, ""];
  return { name, fault, todo: language === "en" ? rule.advice : todo };
}

export const titleOf = (size) => (language === "zh" ? size.zh : size.en) || (size.basis === "number" ? numberTitle(size) : size.name);
const numberTitle = (size) => (size.name.endsWith("px") ? `${size.px[0]} × ${size.px[1]} px` : millimetres(size));
const short = (value) => String(+value.toFixed(1));
export const millimetres = (size) => `${short(size.mm[0])} × ${short(size.mm[1])} mm`;
/** A short, common name for a tile. */
export const shortTitleOf = (size) => words.shortTitles[size.name] ?? titleOf(size);
export const printedSize = (size) => words.inchSizes[size.mm.map((side) => side.toFixed(1)).join("x")] ?? millimetres(size);
/** In millimetres and pixels; a line breaks only between the two. */
export const measuresOf = (size) => [millimetres(size), `${size.px[0]} × ${size.px[1]} px`].map((sides) => sides.replaceAll(" ", "\u00a0")).join(" · ");

export function made(name, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(name), attributes);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
export function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

export const $ = (id) => document.getElementById(id);
