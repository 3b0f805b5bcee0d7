// What every walk uses. Whatever reads the page waits for it first: the page draws with the next frame, on a slow machine later.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, locale: "zh-CN" };
export const DESKTOP = { viewport: { width: 1280, height: 900 }, locale: "en-US" };
const DEVICES = { phone: PHONE, desktop: DESKTOP }, LOCALES = { en: "en-US", zh: "zh-CN" };
const PATIENCE_MS = 60_000;

export class Tour {
  constructor(browser, folder, settings) {
    Object.assign(this, { browser, folder, ...settings, contexts: [], seen: { complaints: [], foreign: [], axe: {}, wide: {}, faint: {} } });
    this.axeSource = readFileSync(createRequire(join(folder, "x.js")).resolve("axe-core/axe.min.js"), "utf8");
  }

  file = (name) => join(this.folder, name);

  /** The browser of this walk's device, language and colours. */
  get options() {
    return { ...DEVICES[this.device], locale: LOCALES[this.language], colorScheme: this.colours };
  }

  /** The name of a view in this walk's combination. */
  here = (name) => [name, this.device, this.language, this.colours].join("-");

  /** A new browser profile on a page, when all of it is drawn. */
  async visit(url, options, prepare = async () => {}) {
    const context = await this.browser.newContext({ acceptDownloads: true, permissions: ["camera", "clipboard-read", "clipboard-write"], ignoreHTTPSErrors: true, ...options });
    this.contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("console", (message) => { if (["error", "warning"].includes(message.type()) && !message.text().includes("willReadFrequently")) this.seen.complaints.push(message.text()); });
    page.on("pageerror", (error) => this.seen.complaints.push(String(error.stack)));
    page.on("request", (request) => { if (!/^(https?:\/\/127\.0\.0\.1:|blob:|data:)/.test(request.url())) this.seen.foreign.push(request.url()); });
    if (process.env.IDSEG_PAGE_SLOWER) await (await context.newCDPSession(page)).send("Emulation.setCPUThrottlingRate", { rate: Number(process.env.IDSEG_PAGE_SLOWER) });
    await prepare(page);
    await page.goto(url);
    await page.waitForSelector("html[data-ready]");
    return page;
  }

  async close() {
    await Promise.all(this.contexts.map((context) => context.close()));
  }

  /** The texts on the screen of every open page, for whoever reads why a walk failed. */
  async describe() {
    const pages = this.contexts.flatMap((context) => context.pages());
    if (process.env.SHOTS) await Promise.all(pages.map((page, index) => page.screenshot({ path: this.file(`failed-${index}.png`), timeout: 5000 }).catch(() => {})));
    return Promise.all(pages.map((page) => page.evaluate(() => `${document.documentElement.dataset.state} ${location.href}\n${document.body.innerText.slice(0, 1500)}`).catch(String)));
  }

  /** A screenshot, where they are kept. */
  async shot(page, name) {
    if (process.env.SHOTS) await page.screenshot({ path: this.file(`${name}.png`), fullPage: true });
  }

  /** No violation of axe, no sideways scroll; a screenshot where they are kept. */
  async look(page, name) {
    await drawn(page);
    await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity).map((one) => one.finished.catch(() => {}))));
    await this.shot(page, name);
    this.seen.wide[name] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    this.seen.faint[name] = await page.evaluate(faint);
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(this.axeSource);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    this.seen.axe[name] = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).slice(0, 3).join("; ")}`);
  }

  async download(page, button, name) {
    const [got] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
    await got.saveAs(this.file(name));
    return got.suggestedFilename();
  }
}

/** Controls whose border stands out from what lies around it by less than 3 to 1 (WCAG 1.4.11). Runs in the page. */
function faint() {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data;
  };
  const light = (color) => [...rgba(color)].slice(0, 3).map((level) => level / 255).map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)).reduce((sum, x, index) => sum + x * [0.2126, 0.7152, 0.0722][index], 0);
  const around = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) if (rgba(getComputedStyle(at).backgroundColor)[3] === 255) return getComputedStyle(at).backgroundColor;
    return "#fff";
  };
  const controls = document.querySelectorAll('input:not([type="range"], [type="radio"], [type="color"], [type="file"]), select, .button:not(:disabled), .tile, .swatch, .drop');
  return [...controls].filter((one) => one.checkVisibility()).flatMap((one) => {
    const [low, high] = [light(getComputedStyle(one).borderTopColor), light(around(one))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05) < 3 ? [`${one.id || one.className}: ${((high + 0.05) / (low + 0.05)).toFixed(2)}`] : [];
  });
}

/** Until the next frame is drawn. */
export const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** Until nothing is asked of the server for the shown photo. A wish sets "busy" at once, so the end of the one before is never taken for its own. The page sets the state after it has drawn everything. */
export const settled = (page) => page.waitForFunction(() => ["done", "problem", "stopped"].includes(document.documentElement.dataset.state) && document.getElementById("busy").hidden);

/** The same, where it must end well. */
export const finished = (page) => page.waitForFunction(() => document.documentElement.dataset.state === "done");

/** The same, where it must end with a problem. */
export const refused = (page) => page.waitForFunction(() => document.documentElement.dataset.state === "problem");

export const shows = (page, id, text) => page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);

/** What a function of the page answers, once it is something. */
export const until = async (page, answer, argument) => (await page.waitForFunction(answer, argument)).jsonValue();

/** Take photos for a document that has a tile; from the start, where no document is chosen yet. */
export async function finish(page, photos, size) {
  await page.setInputFiles("#file", photos);
  await page.click(`#start-picker .tile[data-size="${size}"]`);
  await settled(page);
}

/** Once the finished photo has this colour (hex) in its corner. */
export const painted = (page, colour) => page.waitForFunction((colour) => {
  const canvas = document.getElementById("canvas"), at = [Math.round(canvas.width * 0.02), Math.round(canvas.height * 0.02)];
  return `#${[...canvas.getContext("2d").getImageData(...at, 1, 1).data.slice(0, 3)].map((level) => level.toString(16).padStart(2, "0")).join("")}` === colour;
}, colour);

/** Every request from now on: path and bytes of its body. */
export function calls(page) {
  const found = [];
  page.on("request", (request) => found.push([new URL(request.url()).pathname, request.postDataBuffer()?.length ?? 0]));
  return found;
}

export const pixel = (page, x, y) => page.evaluate(([x, y]) => {
  const canvas = document.getElementById("canvas");
  return [...canvas.getContext("2d").getImageData(Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data];
}, [x, y]);

/** A call that waits until `open()`: what people see while the server works. */
export async function gate(page, pattern) {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  const held = async (route) => {
    await opened;
    await route.continue().catch(() => {}); // the page may have dropped it
  };
  await page.route(pattern, held);
  return async () => {
    open();
    await page.unroute(pattern, held);
  };
}
