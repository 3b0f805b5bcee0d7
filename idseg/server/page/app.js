// The page: from a chosen photo to the reply, and what can be done with it. State lives in `state`, nowhere else.

import { TEXT, firstLanguage } from "./text.js";
import { bytesOf, colorOf, draw, fitting, onBackground, pixelsOf, pngOf } from "./picture.js";
import { drawOver } from "./drawing.js";
import { openCamera } from "./camera.js";
import * as idPhoto from "./photo.js";

const $ = (id) => document.getElementById(id);
const SECTIONS = ["login", "start", "working", "problem", "result"];
const VIEWS = ["compare", "points", "cut", "scoremap", "demo"];
const COLORS = { white: "#ffffff", blue: "#438edb", red: "#d9001b", grey: "#c0c0c0", transparent: "", own: "#2f6d6a" };

const state = {
  language: firstLanguage(), server: null, token: "", section: "start", view: "compare", background: "white", ownColor: COLORS.own,
  photoUrl: "", problem: null, result: null, scaled: null,
};
const words = () => TEXT[state.language];

// --- words, theme ---

function speak() {
  const text = words();
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text[element.dataset.label]);
  $("language").textContent = text.otherLanguage;
  $("language").lang = state.language === "zh" ? "en" : "zh-CN";
  const theme = document.documentElement.dataset.theme ?? "system";
  $("theme").textContent = `◐ ${text[theme]}`;
  $("theme").setAttribute("aria-label", `${text.theme}: ${text[theme]}`);
  $("note").textContent = state.scaled ? text.scaled(state.scaled.from, state.scaled.to) : "";
  if (state.problem) showProblem();
  if (state.result) showResult();
  idPhoto.speak(state.language);
}

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem("idseg-theme", theme);
}

function show(section) {
  state.section = section;
  for (const name of SECTIONS) $(name).hidden = name !== section;
}

// --- the call ---

async function signIn(event) {
  event.preventDefault();
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id: $("api-key").value.trim(), client_secret: $("secret-key").value.trim() });
  const answer = await fetch("/oauth/2.0/token", { method: "POST", body: form }).catch(() => null);
  const reply = answer ? await answer.json().catch(() => ({})) : {};
  $("login-problem").hidden = Boolean(reply.access_token);
  $("login-problem").textContent = answer ? words().loginWrong : words().loginBusy;
  if (!reply.access_token) return;
  state.token = reply.access_token;
  $("secret-key").value = "";
  show("start");
  $("main").focus();
}

function post(path, photo, signal) {
  const headers = { "x-idseg-page": state.server.version, "content-type": "application/octet-stream" };
  if (state.token) headers.authorization = `Bearer ${state.token}`;
  return fetch(path, { method: "POST", headers, body: photo, signal });
}

async function send(file) {
  forget();
  state.photoUrl = URL.createObjectURL(file);
  $("working-photo").src = state.photoUrl;
  show("working");
  const { blob, scaled } = await fitting(file, state.server.max_file_bytes);
  state.scaled = scaled;
  let reply;
  try {
    const answer = await post("/page/photo", blob);
    reply = await answer.json();
  } catch {
    reply = { error_code: "–", error_detail: { reason: "network" } };
  }
  if (reply.error_code !== undefined) return refuse(reply);
  await receive(reply, blob);
}

function refuse(reply) {
  state.problem = reply;
  if (["expired_token", "unknown_token", "no_credential"].includes(reply.error_detail.reason)) state.token = "";
  showProblem();
  show("problem");
  $("problem").focus();
}

function showProblem() {
  const { error_code: code, error_detail: detail, log_id: id } = state.problem;
  const [title, why, todo] = words().problems[detail.reason] ?? words().problems.internal;
  $("problem-title").textContent = title;
  $("problem-why").textContent = why.replace("{persons}", detail.persons ?? "");
  $("problem-do").textContent = todo;
  $("problem-code").textContent = words().code(code, id);
  if (state.photoUrl) $("problem-photo").src = state.photoUrl;
  $("problem-photo").onerror = () => $("problem-photo").removeAttribute("src");
}

async function receive(reply, sent) {
  const blobs = Object.fromEntries(Object.entries(reply.seg_info).map(([name, text]) => [name, new Blob([bytesOf(text)], { type: name === "cut" ? "image/jpeg" : "image/png" })]));
  const [demo, mask, cut] = await Promise.all([blobs.demo, blobs.scoremap, blobs.cut].map(pixelsOf));
  URL.revokeObjectURL(state.photoUrl);
  state.photoUrl = URL.createObjectURL(sent);
  state.result = { reply, blobs, demo, mask, cut, urls: Object.fromEntries(Object.entries(blobs).map(([name, blob]) => [name, URL.createObjectURL(blob)])) };
  show("result");
  speak();
  $("result").focus();
  idPhoto.begin(sent);
}

function forget() {
  idPhoto.forget();
  if (state.photoUrl) URL.revokeObjectURL(state.photoUrl);
  for (const url of Object.values(state.result?.urls ?? {})) URL.revokeObjectURL(url);
  Object.assign(state, { photoUrl: "", problem: null, result: null, scaled: null });
  $("note").textContent = "";
  $("problem-photo").removeAttribute("src");
}

function again() {
  forget();
  begin();
  $("main").focus();
}

function begin() {
  show(state.server.auth && !state.token ? "login" : "start");
}

// --- the result ---

function showResult() {
  const { reply, cut } = state.result, text = words();
  tabs();
  swatches();
  draw($("before"), cut);
  for (const layer of ["compare", "plain"]) $(layer).style.setProperty("--ratio", cut.width / cut.height);
  $("drawn").style.setProperty("--ratio", reply.photo.width / reply.photo.height);
  $("drawn-photo").src = state.photoUrl;
  paint();
  look(state.view);
  const face = reply.face_location, location = reply.cut_location;
  const seconds = Object.values(reply.timings_ms).reduce((sum, ms) => sum + ms, 0) / 1000;
  facts([
    [text.facepose, text.faceposes[reply.pose_info.facepose]],
    [text.bodypose, text.bodyposes[reply.pose_info.bodypose]],
    [text.face, `${(face.score * 100).toFixed(1)} %`],
    [text.turned, `${reply.angles.yaw_deg.toFixed(0)}°`],
    [text.tilted, `${reply.angles.roll_deg.toFixed(0)}°`],
    [text.photo, `${reply.photo.width} × ${reply.photo.height}`],
    [text.size, `${location.width} × ${location.height}`],
    [text.time, `${seconds.toFixed(2)} s`],
  ]);
}

function facts(rows) {
  $("facts").replaceChildren(...rows.flatMap(([name, value]) => {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  }));
}

function tabs() {
  $("views").replaceChildren(...VIEWS.map((view) => {
    const tab = document.createElement("button");
    Object.assign(tab, { type: "button", textContent: words()[view], id: `view-${view}` });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "stage");
    tab.onclick = () => look(view);
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = VIEWS[(VIEWS.indexOf(view) + step + VIEWS.length) % VIEWS.length];
      look(next);
      $(`view-${next}`).focus();
    };
    return tab;
  }));
}

function look(view) {
  state.view = view;
  for (const name of VIEWS) {
    $(`view-${name}`).setAttribute("aria-selected", String(name === view));
    $(`view-${name}`).tabIndex = name === view ? 0 : -1;
  }
  $("stage").setAttribute("aria-labelledby", `view-${view}`);
  $("compare").hidden = view !== "compare";
  $("drawn").hidden = view !== "points";
  $("plain").hidden = view === "compare" || view === "points";
  if (!$("drawn").hidden) drawOver($("drawing"), state.result.reply, words().parts);
  if (!$("plain").hidden) $("plain-image").src = state.result.urls[view];
  $("plain-image").alt = words()[view];
  $("drawn-photo").alt = words().points;
  $("caption").textContent = words().captions[view];
}

function swatches() {
  $("swatches").replaceChildren(...Object.keys(COLORS).map((name) => {
    const [label, input] = [document.createElement("label"), document.createElement("input")];
    Object.assign(input, { type: name === "own" ? "color" : "radio", name: "background", value: name === "own" ? state.ownColor : name });
    input.setAttribute("aria-label", words()[name]);
    label.title = words()[name];
    label.className = name === "transparent" ? "checks" : name;
    if (COLORS[name] && name !== "own") label.style.background = COLORS[name];
    if (name === state.background && name !== "own") input.checked = true;
    input.oninput = () => {
      state.background = name;
      if (name === "own") state.ownColor = input.value;
      for (const other of $("swatches").querySelectorAll("input[type=radio]")) other.checked = other === input;
      label.style.background = name === "own" ? input.value : label.style.background;
      paint();
      if (state.view !== "compare") look("compare");
    };
    label.append(input);
    return label;
  }));
}

function composed() {
  const hex = state.background === "own" ? state.ownColor : COLORS[state.background];
  return onBackground(state.result.demo, state.result.mask, hex ? colorOf(hex) : null);
}

function paint() {
  draw($("after"), composed());
  $("compare").classList.toggle("checks", state.background === "transparent");
}

async function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  $("note").textContent = words().saved;
}

function apiReply() {
  const { log_id, seg_info, face_location, pose_info, cut_location } = state.result.reply;
  const text = JSON.stringify({ log_id, seg_info, face_location, pose_info, cut_location });
  return text.replace(/^\{"log_id":"(\d+)"/, '{"log_id":$1'); // a number in the API, too large for JavaScript's
}

// --- wiring ---

$("theme").onclick = () => {
  const next = { system: "light", light: "dark", dark: "system" };
  setTheme(next[document.documentElement.dataset.theme ?? "system"]);
  speak();
};
$("language").onclick = () => {
  state.language = state.language === "zh" ? "en" : "zh";
  localStorage.setItem("idseg-language", state.language);
  speak();
};
$("login-form").onsubmit = signIn;
$("file").onchange = () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) send(file);
};
$("camera-open").onclick = () => openCamera().then((photo) => photo && send(photo), () => refuse({ error_code: "–", error_detail: { reason: "no_camera" } }));
$("split").oninput = () => $("compare").style.setProperty("--split", `${$("split").value / 10}%`);
$("save-photo").onclick = async () => save(`id-photo-${state.background}.png`, await pngOf(composed()));
$("save-mask").onclick = () => save("mask.png", state.result.blobs.scoremap);
$("save-json").onclick = () => save("reply.json", new Blob([apiReply()], { type: "application/json" }));
$("again").onclick = $("problem-again").onclick = again;
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file && ["start", "problem", "result"].includes(state.section)) send(file);
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (file && ["start", "problem", "result"].includes(state.section)) send(file);
});

idPhoto.setUp(post, save);
setTheme(localStorage.getItem("idseg-theme") ?? "system");
speak();
state.server = await fetch("/page/settings").then((answer) => answer.json()).catch(() => null);
if (!state.server) refuse({ error_code: "–", error_detail: { reason: "network" } });
else begin();
document.documentElement.dataset.ready = "yes";
