// The page's beginning: photos come in, sections come and go, language and theme; everything else is in the parts.

import * as server from "./server.js";
import { $, language, made, measuresOf, speak, switchLanguage, titleOf, words } from "./words.js";
import { changed, chooseSize, onChange, remembered, state } from "./state.js";
import { Item, cancel, isWorking, want, wantAll } from "./item.js";
import { loadSizes, openPicker, setUpDocuments, sizeNamed } from "./documents.js";
import { rotate, setUpStage } from "./stage.js";
import { setUpVerdict } from "./verdict.js";
import { setUpSave } from "./save.js";
import { setUpSheet } from "./sheet.js";
import { setUpStrip } from "./strip.js";
import { setUpDetails } from "./details.js";
import { openCamera } from "./camera.js";

const RESULT = "#photo";
const SIGNED_OUT = ["no_credential", "unknown_token", "expired_token"];
const beforeReload = remembered(); // read before the first drawing, which remembers anew
const LINK = "#link=";
const TAB_TOKEN = "idseg-session"; // of a one-time link: it works once, and a phone drops pages from memory
let away = false, connected = false, signedOut = false, shownSection = "";

// --- photos come in ---

function take(files, add = state.items.length > 0 && location.hash === RESULT) {
  const items = [...files].filter((file) => !file.type || file.type.startsWith("image/")).map((file) => new Item(file, file.name ?? "photo.jpg"));
  if (!items.length && files.length) items.push(new Item(files[0], files[0].name ?? "file"));
  if (!items.length) return;
  if (!add) {
    state.items.forEach((item) => item.close());
    state.items = [];
  }
  state.items.push(...items);
  state.current = items[0];
  if (state.size) window.scrollTo(0, 0);
  else $("step-document").scrollIntoView({ block: "nearest" }); // on a phone it lies below
  if (state.size && location.hash !== RESULT) history.pushState(null, "", RESULT);
  items.forEach((item) => want(item));
}

function pick(size) {
  chooseSize(size);
  if ($("document-dialog").open) $("document-dialog").close();
  if (state.items.length) {
    if (location.hash !== RESULT) history.pushState(null, "", RESULT);
    wantAll();
  }
  changed();
}

function setUpPhotos() {
  const chosen = (input) => {
    const files = [...input.files];
    input.value = "";
    take(files, adding);
    adding = undefined;
  };
  let adding;
  const open = (add) => {
    adding = add;
    $("file").click();
  };
  $("file").onchange = () => chosen($("file"));
  $("file-camera").onchange = () => chosen($("file-camera"));
  $("file-open").onclick = () => open(false);
  $("another").onclick = () => open(false);
  $("camera-system").onclick = () => $("file-camera").click();
  $("camera-open").onclick = () => openCamera().then((photo) => photo && take([new File([photo], "camera.jpg", { type: photo.type })], false), () => complainOfCamera());
  $("cancel").onclick = () => cancel(state.current);
  setUpStrip(() => open(true));
  let inside = 0;
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    inside++;
    $("over").hidden = false;
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("dragleave", () => ($("over").hidden = --inside > 0));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    $("over").hidden = true;
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", ({ target, clipboardData }) => {
    const words = target.matches?.("input") && clipboardData?.getData("text/plain"); // meant for the field; a word processor adds a picture of them
    if (!words) take(clipboardData?.files ?? []);
  });
}

function complainOfCamera() {
  $("drop-title").textContent = words.problems.no_camera.slice(0, 3).join(" ");
}

// --- sections ---

function draw() {
  const { settings, token } = server.session, byLink = Boolean(settings?.link);
  const signIn = Boolean((settings?.auth || byLink) && !token) || signedOut;
  const result = !signIn && location.hash === RESULT && state.items.length > 0 && state.size;
  $("away").hidden = !away;
  $("login").hidden = away || !signIn || byLink;
  $("link").hidden = away || !signIn || !byLink;
  $("start").hidden = signIn || Boolean(result);
  $("result").hidden = !result;
  const section = result ? "result" : signIn ? "login" : "start";
  if (section !== shownSection) {
    shownSection = section;
    window.scrollTo(0, 0);
    if (section === "result") $("result-title").focus({ preventScroll: true });
  }
  startPhoto();
  $("theme").textContent = `◐ ${words[themeName()]}`;
  $("theme").setAttribute("aria-label", `${words.theme}: ${words[themeName()]}`);
  $("language").textContent = words.otherLanguage;
  $("language").lang = language === "en" ? "zh" : "en";
  if (!result) return;
  $("result-title").textContent = titleOf(state.size);
  $("result-size").textContent = measuresOf(state.size);
  problem();
}

/** For whoever waits for the page: that all of it is drawn, and what it shows of the photo. */
function tell() {
  const { current } = state, page = document.documentElement.dataset;
  if (connected) page.ready = "yes";
  if (!shownSection.startsWith("result")) page.state = "start";
  else if (current.problem) page.state = "problem";
  else page.state = isWorking(current) ? "busy" : current.current ? "done" : "stopped";
}

function startPhoto() {
  $("camera-open").hidden = !navigator.mediaDevices; // browsers give no camera to a page without https
  const touch = matchMedia("(hover: none) and (pointer: coarse)").matches, count = state.items.length;
  $("camera-open").textContent = touch ? words.useCameraTouch : words.useCamera;
  $("drop-hint").textContent = touch ? words.dropHintTouch : words.dropHint;
  $("drop-title").textContent = count ? words.dropMore(count) : touch ? words.dropTitleTouch : words.dropTitle;
  const bitmap = state.current?.bitmap, image = $("drop-thumb");
  image.hidden = !bitmap;
  document.querySelector(".drop-art").toggleAttribute("hidden", Boolean(bitmap));
  if (!bitmap || image.shows === bitmap) return;
  image.shows = bitmap;
  const canvas = new OffscreenCanvas(Math.round((bitmap.width * 300) / bitmap.height), 300);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, 300);
  canvas.convertToBlob({ type: "image/jpeg" }).then((blob) => (image.src = URL.createObjectURL(blob)));
}

// --- what went wrong, and the one button that helps ---

function problem() {
  const item = state.current, { problem: found } = item;
  const inFile = found?.reason === "option" && item.reply; // told beside the file's options
  $("problem").hidden = !found || Boolean(inFile);
  $("people").replaceChildren();
  if (!found || inFile) return;
  if (SIGNED_OUT.includes(found.reason)) signOut();
  const [title, why, todo] = words.problems[found.reason] ?? words.problems.internal;
  $("problem-title").textContent = title;
  $("problem-why").textContent = why.replace("{message}", found.message).replace("{persons}", found.facts.persons ?? "");
  $("problem-do").textContent = todo;
  $("problem-code").textContent = found.reason === "internal" && found.logId ? words.code(found.logId) : "";
  const buttons = helps(item, found);
  $("problem-actions").replaceChildren(...buttons.map(([text, act], index) => made("button", { type: "button", className: index ? "button" : "button primary", textContent: text, onclick: act })));
  if (found.reason === "multiple_persons" && found.facts.boxes && !item.reply) people(item, found.facts.boxes);
}

function helps(item, { reason, facts }) {
  const again = [words.retry, () => want(item)], another = [words.another, () => $("another").click()];
  if (reason === "sideways" || reason === "upside_down") {
    const quarters = (((facts.turn_deg ?? 180) / 90) % 4 + 4) % 4;
    return [[quarters === 2 ? words.turnOver : quarters === 1 ? words.turnRight : words.turnLeft, () => rotate(quarters)], another];
  }
  if (reason === "option") return [[words.change, openPicker]];
  if (["network", "busy", "rate", "unavailable", "internal", "body_timeout", "unknown_handle", "daily_quota", "cancelled"].includes(reason)) return [again, another];
  if (reason === "foreign_site") return [[words.problems.foreign_site[0], () => location.reload()]];
  return [another];
}

function people(item, boxes) {
  const order = boxes.map((box, index) => [box, index]).sort((one, other) => one[0][0] - other[0][0]);
  $("people").replaceChildren(...order.map(([[left, top, width, height], index], number) => {
    const button = made("button", { type: "button", className: "person" }, made("span", { textContent: String(number + 1) }));
    button.setAttribute("aria-label", `${words.pickPerson}: ${words.person(number + 1)}`);
    Object.assign(button.style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
    button.onclick = () => {
      item.renew();
      item.among = { boxes, index };
      want(item);
    };
    return button;
  }));
}

// --- signing in, theme, start ---

function signOut() {
  server.session.token = "";
  sessionStorage.removeItem(TAB_TOKEN);
  signedOut = Boolean(server.session.settings?.auth || server.session.settings?.link);
  changed();
}

async function signIn(event) {
  event.preventDefault();
  $("login-problem").hidden = true;
  try {
    await server.login($("api-key").value.trim(), $("secret-key").value.trim());
    $("secret-key").value = "";
    signedOut = false;
    wantAll();
    await restore();
  } catch (error) {
    $("login-problem").textContent = error.reason === "network" ? words.problems.network[0] : words.loginWrong;
    $("login-problem").hidden = false;
  }
  changed();
}

/** A server at home: the link's secret once, then the token that this tab has of it. */
async function openLink() {
  server.session.token = sessionStorage.getItem(TAB_TOKEN) ?? "";
  if (!location.hash.startsWith(LINK)) return;
  const secret = location.hash.slice(LINK.length);
  history.replaceState(null, "", "./");
  try {
    await server.join(secret);
    sessionStorage.setItem(TAB_TOKEN, server.session.token);
    signedOut = false;
  } catch (error) {
    if (server.session.token) return; // this tab is in already
    $("link-problem").textContent = error.reason === "expired_token" ? words.linkOld : error.reason === "network" ? words.problems.network[0] : words.linkUsed;
    $("link-problem").hidden = false;
  }
}

const themeName = () => localStorage.getItem("idseg-theme") ?? "system";
function setTheme(name) {
  localStorage.setItem("idseg-theme", name);
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

/** After a reload: the photos that the server still keeps. */
async function restore() {
  const kept = beforeReload;
  if (!kept || state.items.length || location.hash !== RESULT) return;
  const items = await Promise.all(kept.items.map(async ({ handle, name, adjust, before }) => {
    const blob = await server.keptPhoto(handle).catch(() => null);
    if (!blob) return null;
    const item = new Item(blob, name);
    const bitmap = await createImageBitmap(blob);
    return Object.assign(item, { sent: blob, bitmap, original: [bitmap.width, bitmap.height], full: true, handle, adjust, earlier: before });
  }));
  state.items = items.filter(Boolean);
  if (!state.items.length) return;
  state.current = items[kept.current] ?? state.items[0];
  Object.assign(state, { size: kept.size, options: { ...state.options, ...kept.options } });
  wantAll();
}

async function connect() {
  try {
    if (!server.session.settings) await server.loadSettings();
    away = false;
    if (server.session.settings.link) await openLink();
  } catch {
    away = true;
    return changed();
  }
  await loadSizes();
  const last = sizeNamed(localStorage.getItem("idseg-document") ?? "");
  if (last && !state.size) chooseSize(last);
  if (!(server.session.settings.auth || server.session.settings.link) || server.session.token) await restore();
  state.items.filter((item) => item.problem || !item.made).forEach((item) => want(item));
  changed();
}

setTheme(themeName());
$("theme").onclick = () => {
  const order = ["system", "light", "dark"];
  setTheme(order[(order.indexOf(themeName()) + 1) % 3]);
  changed();
};
$("language").onclick = () => {
  switchLanguage();
  changed();
};
$("home").onclick = (event) => {
  event.preventDefault();
  if (location.hash === RESULT) history.pushState(null, "", "./");
  changed();
};
$("back").onclick = () => (history.length > 1 ? history.back() : $("home").click());
$("login-form").onsubmit = signIn;
$("save-verdict").onclick = (event) => {
  event.preventDefault();
  $("verdict-title").focus({ preventScroll: true });
  $("verdict").scrollIntoView({ block: "center" });
};
window.addEventListener("hashchange", () => location.hash.startsWith(LINK) && connect());
$("away-retry").onclick = connect;
window.addEventListener("popstate", changed);
onChange(draw); // the sections first: the parts measure what is shown
setUpPhotos();
setUpDocuments(pick);
setUpStage();
setUpVerdict();
setUpSave();
setUpSheet();
setUpDetails();
onChange(tell);
speak();
await connect();
connected = true;
changed();
