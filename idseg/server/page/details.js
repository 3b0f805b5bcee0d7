// The folded section for developers: the API's reply as pictures and as JSON, and example calls of this server.

import * as server from "./server.js";
import { bytesOf } from "./prepare.js";
import { $, made, shape, words } from "./words.js";
import { onChange, state } from "./state.js";
import { drawOver } from "./drawing.js";
import { signless } from "./verdict.js";

const VIEWS = ["points", "cut", "scoremap", "demo"];
let view = "points", asking = "", shown = "";
const replies = new WeakMap();

export function setUpDetails() {
  onChange(draw);
  $("details").ontoggle = draw;
}

async function draw() {
  const item = state.current;
  $("details").hidden = !item?.reply;
  if (!$("details").open || !item?.handle) return;
  const found = replies.get(item);
  if (found?.handle === item.handle) return show(item, found);
  if (asking === item.handle) return;
  asking = item.handle;
  try {
    const reply = await server.segmented(item.handle);
    replies.set(item, { handle: asking, reply, urls: await urlsOf(item, reply) });
  } catch (error) {
    $("details-body").replaceChildren(made("p", { className: "problem-line", textContent: (words.problems[error.reason] ?? words.problems.internal)[0] }));
    return;
  } finally {
    asking = "";
  }
  draw();
}

async function urlsOf(item, reply) {
  const canvas = new OffscreenCanvas(item.bitmap.width, item.bitmap.height);
  canvas.getContext("2d").drawImage(item.bitmap, 0, 0);
  const url = (base64, type) => URL.createObjectURL(new Blob([bytesOf(base64)], { type }));
  return {
    points: URL.createObjectURL(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 })),
    cut: url(reply.seg_info.cut, "image/jpeg"), scoremap: url(reply.seg_info.scoremap, "image/png"), demo: url(reply.seg_info.demo, "image/png"),
  };
}

function show(item, found) {
  const now = JSON.stringify([document.documentElement.lang, item.handle, view, state.size?.name, state.options.background]);
  if (now === shown) return;
  shown = now;
  const body = $("details-body");
  body.replaceChildren(made("div", { className: "details-grid" }, pictures(found), code(found.reply)));
  if (view === "points") body.querySelector("img").decode().then(() => drawOver(body.querySelector("svg"), found.reply, words.parts, body.querySelector("img").clientWidth || 400)).catch(() => {});
}

function pictures({ reply, urls }) {
  const buttons = made("div", { className: "views" }, ...VIEWS.map((name) => {
    const button = made("button", { type: "button", className: "button small", textContent: words.detailViews[name] });
    button.setAttribute("aria-pressed", String(name === view));
    button.onclick = () => {
      view = name;
      draw();
    };
    return button;
  }));
  const picture = made("div", { className: "over-photo" }, made("img", { src: urls[view], alt: words.detailViews[view] }));
  if (view === "points") picture.append(shape("svg", { "aria-hidden": "true" }));
  return made("div", {}, buttons, made("div", { className: "view" }, picture), facts(reply));
}

function facts(reply) {
  const degrees = (value) => `${signless(value.toFixed(0)).replace("-", "−")}°`;
  const took = Object.values(reply.timings_ms).reduce((sum, ms) => sum + ms, 0);
  const rows = [
    ["facepose", words.faceposes[reply.pose_info.facepose]], ["bodypose", words.bodyposes[reply.pose_info.bodypose]], ["score", `${(reply.face_location.score * 100).toFixed(1)} %`],
    ["yaw", degrees(reply.angles.yaw_deg)], ["roll", degrees(reply.angles.roll_deg)], ["photo", `${reply.photo.width} × ${reply.photo.height}`], ["cut", `${reply.cut_location.width} × ${reply.cut_location.height}`], ["took", `${(took / 1000).toFixed(2)} s`],
  ];
  return made("dl", { className: "facts" }, ...rows.flatMap(([name, value]) => [made("dt", { textContent: words.facts[name] }), made("dd", { textContent: value ?? "–" })]));
}

/** The API's reply, with shortened pictures. */
export function readable(reply) {
  const { photo, angles, timings_ms, ...own } = reply;
  return JSON.stringify(own, (key, value) => (typeof value === "string" && value.length > 200 ? `${value.slice(0, 40)}… (${value.length})` : value), 2);
}

const tokenPart = (join) => (server.session.settings.auth || server.session.settings.link ? `${join}access_token=$TOKEN` : "");

export function curlLine() {
  const parameters = new URLSearchParams({ size: state.size?.name ?? "us-visa", background: state.options.background || "#ffffff" });
  return [...curlToken(), `curl${insecure()} --data-binary @selfie.jpg "${server.BASE}v1/photo/file?${parameters}${tokenPart("&")}" -o photo.jpg`].join("\n");
}

/** Whether the server uses its own certificate, which no machine trusts. */
const insecure = () => (server.session.settings.link && location.protocol === "https:" ? " --insecure" : "");

function curlToken() {
  if (server.session.settings.link) return [`TOKEN=${server.session.token}`];
  if (!server.session.settings.auth) return [];
  return [`TOKEN=$(curl -s "${server.BASE}oauth/2.0/token" -d grant_type=client_credentials -d client_id=$IDSEG_API_KEY -d client_secret=$IDSEG_SECRET_KEY | sed 's/.*"access_token":"\\([^"]*\\).*/\\1/')`];
}

const pythonLines = () => [
  ...(server.session.settings.auth ? ["import os"] : []), "from idseg.cloud.client import Client", "",
  `client = Client("${server.BASE}", ${server.session.settings.auth ? 'os.environ["IDSEG_API_KEY"], os.environ["IDSEG_SECRET_KEY"]' : '"", ""'})`, 'reply = client.body_seg_photo("selfie.jpg")', 'print(reply["pose_info"])',
].join("\n");

function block(title, text) {
  const copy = made("button", { type: "button", className: "button small" });
  const name = (text) => {
    copy.textContent = text;
    copy.setAttribute("aria-label", `${text}: ${title}`);
  };
  name(words.copy);
  copy.onclick = async () => {
    await navigator.clipboard.writeText(text.full ?? text.shown);
    name(words.copied);
    $("note").textContent = words.copied;
    setTimeout(() => name(words.copy), 2000);
  };
  const code = made("pre", { tabIndex: 0, textContent: text.shown });
  code.setAttribute("aria-label", title);
  code.setAttribute("role", "region");
  const part = made("div", {}, made("div", { className: "code-head" }, made("h3", { textContent: title }), copy), code);
  return part;
}

function code(reply) {
  const link = made("p", {}, made("a", { href: "docs", textContent: words.openDocs }));
  const { photo, angles, timings_ms, ...own } = reply;
  const curl = block(words.curl, { shown: curlLine() });
  curl.id = "curl";
  const python = block(words.python, { shown: pythonLines() });
  python.id = "python";
  python.hidden = Boolean(server.session.settings.link); // a program has no session of a link
  return made("div", {}, curl, python, block(words.reply, { shown: readable(reply), full: JSON.stringify(own) }), link);
}
