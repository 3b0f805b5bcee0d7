// Walks through the web page in headless Chromium as people do. Prints one JSON object of what was seen.
// Usage: node page.mjs CHROMIUM WALK OPEN_URL KEYED_URL API_KEY SECRET_KEY FOLDER   (FOLDER holds the photos; gets downloads and screenshots)
import { chromium } from "playwright-core";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";

const [executablePath, walk, open, keyed, apiKey, secretKey, folder] = process.argv.slice(2);
const axeSource = readFileSync(createRequire(join(folder, "x.js")).resolve("axe-core/axe.min.js"), "utf8");
const file = (name) => join(folder, name);
const seen = { complaints: [], foreign: [], axe: {} };
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args: [...QUIET, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"] });
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, locale: "zh-CN" };
const DESKTOP = { viewport: { width: 1280, height: 900 }, locale: "en-US" };

async function visit(url, options) {
  const context = await browser.newContext({ acceptDownloads: true, permissions: ["camera", "clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type()) && !message.text().includes("willReadFrequently")) seen.complaints.push(message.text()); });
  page.on("pageerror", (error) => seen.complaints.push(String(error.stack)));
  page.on("request", (request) => { if (!/^(http:\/\/127\.0\.0\.1:|blob:|data:)/.test(request.url())) seen.foreign.push(request.url()); });
  await page.goto(url);
  await page.waitForSelector("html[data-ready]");
  return page;
}

const settled = (page) => page.waitForFunction(() => ["done", "problem"].includes(document.documentElement.dataset.state) && document.getElementById("busy").hidden);
const shot = (page, name) => page.screenshot({ path: file(`${name}.png`), fullPage: true });
const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
async function axe(page, name) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
  await page.evaluate(axeSource);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  seen.axe[name] = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).slice(0, 3).join("; ")}`);
  await shot(page, name);
}
async function download(page, button, name) {
  const [got] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  await got.saveAs(file(name));
  return got.suggestedFilename();
}
async function finish(page, photos, size) {
  await page.setInputFiles("#file", photos);
  if (await page.locator(`#start-picker .tile[data-size="${size}"]`).isVisible()) await page.click(`#start-picker .tile[data-size="${size}"]`);
  await settled(page);
}
const calls = (page) => {
  const found = [];
  page.on("request", (request) => found.push([new URL(request.url()).pathname, request.postDataBuffer()?.length ?? 0]));
  return found;
};
const pixel = (page, x, y) => page.evaluate(([x, y]) => {
  const canvas = document.getElementById("canvas");
  return [...canvas.getContext("2d").getImageData(Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data];
}, [x, y]);

const walks = {
  // A parent on a phone: two 2 x 2 inch photos on 4 x 6 paper.
  async parent() {
    const page = await visit(open, { ...PHONE, locale: "en-US" });
    seen.wide = [await wide(page)];
    await axe(page, "start-phone");
    await page.setInputFiles("#file", file("photo.jpg"));
    await page.waitForFunction(() => document.getElementById("drop-title").textContent.includes("Now choose"));
    await page.click('#start-picker .tile[data-size="us-passport"]');
    await settled(page);
    seen.wide.push(await wide(page));
    seen.saveInView = await page.evaluate(() => document.getElementById("save-bar").getBoundingClientRect().bottom <= innerHeight + 1);
    seen.photoInView = await page.evaluate(() => document.getElementById("canvas").getBoundingClientRect().bottom <= innerHeight);
    seen.title = await page.textContent("#verdict-title");
    await axe(page, "result-phone");
    await page.locator("#sheet-options > summary").click();
    seen.papers = await page.locator("#paper option").allTextContents();
    await page.selectOption("#paper", "6inch");
    await page.selectOption("#copies", "2");
    await page.waitForFunction(() => document.getElementById("sheet-preview").getAttribute("aria-label")?.startsWith("2 photos"));
    seen.jpeg = await download(page, "#save-sheet", "sheet.jpg");
    await page.selectOption("#sheet-format", "pdf");
    seen.pdf = await download(page, "#save-sheet", "sheet.pdf");
    seen.note = await page.textContent("#sheet-note");
    seen.wide.push(await wide(page));
    await page.setViewportSize({ width: 320, height: 640 });
    await page.waitForTimeout(100);
    seen.wide.push(await wide(page));
    await axe(page, "sheet-320");
  },

  // A clerk: one inch, blue, 20 to 50 KB, many photos at once, as a ZIP; Chinese, dark.
  async clerk() {
    const page = await visit(open, { ...DESKTOP, locale: "zh-CN", colorScheme: "dark" });
    await axe(page, "start-dark");
    await page.click('#start-picker .tile[data-size="cn-1inch"]');
    await page.setInputFiles("#file", JSON.parse(readFileSync(file("batch.json"), "utf8")).map(file));
    await page.waitForSelector("#strip .strip-item:nth-child(3)");
    await page.locator('#backgrounds input[value="#438edb"]').check();
    await page.locator("#file-options > summary").click();
    await page.fill("#kb-least", "20");
    await page.fill("#kb-most", "50");
    await page.locator("#kb-most").blur();
    await page.waitForFunction(() => !document.getElementById("save-all").disabled && document.documentElement.dataset.state === "done");
    seen.zip = await download(page, "#save-all", "all.zip");
    await page.waitForTimeout(300);
    seen.verdicts = await page.locator("#strip .strip-item:not(.strip-add)").evaluateAll((items) => items.map((item) => item.getAttribute("aria-label")));
    seen.english = await page.evaluate(() => [...document.querySelectorAll("#result *")].filter((element) => !element.children.length && element.checkVisibility() && /[A-Za-z]{4,}/.test(element.textContent)).map((element) => element.textContent).filter((text) => !/^[A-Z]{3,5}( ·|，|$)|cm|KB|dpi|JSON|curl/.test(text)));
    await axe(page, "several-dark");
    seen.notApplicable = await page.locator('#rules li[data-status="not applicable"]').count();
  },

  // A developer: the copied curl line answers; the JSON; the API page on a phone, in both languages.
  async developer() {
    const page = await visit(open, DESKTOP);
    await finish(page, file("photo.jpg"), "us-visa");
    await page.locator("#details > summary").click();
    await page.waitForSelector("#curl pre");
    await page.waitForFunction(() => document.querySelectorAll("#details svg .point").length === 10);
    seen.labels = await page.evaluate(() => {
      const boxes = [...document.querySelectorAll("#details svg text")].map((text) => text.getBoundingClientRect());
      return boxes.flatMap((one, index) => boxes.slice(index + 1).filter((other) => one.left < other.right && other.left < one.right && one.top < other.bottom - 1 && other.top < one.bottom - 1)).length;
    });
    await page.locator("#curl button").click();
    seen.curl = await page.evaluate(() => navigator.clipboard.readText());
    execFileSync("bash", ["-c", seen.curl.replace("selfie.jpg", "photo.jpg").replace("-o photo.jpg", "-s -o by-curl.jpg")], { cwd: folder });
    seen.facts = await page.textContent("#details dl");
    await axe(page, "developer");
    for (const locale of ["en-US", "zh-CN"]) {
      const docs = await visit(`${open}/docs`, { ...PHONE, locale });
      seen[`docs-${locale}`] = { title: await docs.textContent("#title"), wide: await wide(docs), example: await docs.textContent("#example"), operations: await docs.locator(".operation h2 code").allTextContents() };
      await axe(docs, `docs-${locale}`);
    }
  },

  // By hand: move, zoom, turn, flip, reset; the rules answer; a background at once; a size without the photo; with the server away.
  async hand() {
    const page = await visit(open, DESKTOP);
    const made = calls(page);
    await finish(page, file("photo.jpg"), "us-visa");
    seen.sentOnce = made.filter(([path]) => path === "/v1/photos").length;
    seen.eyesFirst = await page.locator('#live [data-rule="eyes"]').textContent();
    await page.focus("#frame");
    for (let step = 0; step < 40; step++) await page.keyboard.press("ArrowDown");
    await page.waitForSelector('#live [data-rule="eyes"].bad');
    seen.eyesMoved = await page.locator('#live [data-rule="eyes"]').textContent();
    await page.keyboard.press("0");
    await page.waitForSelector('#live [data-rule="eyes"].ok');
    seen.eyesReset = await page.locator('#live [data-rule="eyes"]').textContent();
    const box = await page.locator("#frame").boundingBox();
    await page.mouse.move(box.x + 100, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + 130, box.y + 100, { steps: 3 });
    await page.mouse.up();
    await page.mouse.wheel(0, -150);
    await page.fill("#turn", "0");
    seen.zoomed = await page.textContent("#zoom-value");
    await page.click("#flip");
    await page.waitForTimeout(500);
    await settled(page);
    await axe(page, "adjust");
    const answer = page.waitForResponse((one) => one.url().includes("flip=1"));
    await page.evaluate(() => (document.documentElement.dataset.state = ""));
    await page.fill("#turn", "2.5");
    seen.asked = new URL((await answer).url()).search;
    await page.click("#reset");
    await page.waitForFunction(() => document.getElementById("turn-value").textContent === "0°");
    seen.turnReset = await page.textContent("#turn-value");
    await page.waitForTimeout(500);
    await settled(page);
    seen.paintMs = await page.evaluate(async () => {
      const canvas = document.getElementById("canvas"), input = document.querySelector('#backgrounds input[value="#438edb"]');
      const begun = performance.now();
      input.click();
      while (canvas.getContext("2d").getImageData(3, 3, 1, 1).data[0] !== 67) await new Promise(requestAnimationFrame);
      return performance.now() - begun;
    });
    await settled(page);
    made.length = 0;
    await page.click("#change-document");
    const search = page.locator("#search-dialog");
    await search.fill("Japan");
    await page.waitForSelector("#found-dialog [role=option]");
    seen.firstOption = await page.locator('#found-dialog [aria-selected="true"]').textContent();
    await axe(page, "dialog");
    await search.press("ArrowDown");
    seen.secondOption = await page.locator('#found-dialog [aria-selected="true"]').textContent();
    seen.stillChosen = await page.locator("#dialog-picker .picked").textContent();
    await search.press("Enter");
    await settled(page);
    seen.picked = await page.textContent("#result-title");
    seen.bytesForSize = made.reduce((sum, [, bytes]) => sum + bytes, 0);
    await page.click("#original");
    seen.originalPixel = await pixel(page, 0.02, 0.02);
    await page.click("#original");
    await page.goBack();
    seen.startAfterBack = await page.isVisible("#start");
    await page.goForward();
    await page.waitForSelector("#result:not([hidden])");
    await page.reload();
    await page.waitForSelector("html[data-ready]");
    await settled(page);
    seen.afterReload = await page.textContent("#result-title");
    await page.context().setOffline(true);
    await page.locator('#backgrounds input[value="#d9001b"]').check();
    await page.waitForFunction(() => !document.getElementById("problem").hidden);
    seen.offline = { title: await page.textContent("#problem-title"), pixel: await pixel(page, 0.02, 0.02), shown: await page.isVisible("#canvas") };
    seen.offlineSaved = await download(page, "#save", "offline.jpg");
    await page.context().setOffline(false);
    await page.locator("#problem-actions button").first().click();
    await settled(page);
    seen.again = await page.isVisible("#problem");
  },

  // What goes wrong: two people, nobody, on the side, no picture, cancel, a drop while working, keys, the server away at load.
  async wrong() {
    const page = await visit(open, DESKTOP);
    await finish(page, file("two.png"), "us-visa");
    seen.two = { title: await page.textContent("#problem-title"), save: await page.isVisible("#save") };
    await axe(page, "two-people");
    await page.setInputFiles("#file", file("side.png"));
    await page.waitForFunction(() => document.getElementById("problem-title").textContent.includes("side"));
    seen.side = await page.locator("#problem-actions button").first().textContent();
    await page.locator("#problem-actions button").first().click();
    await page.waitForTimeout(300);
    await settled(page);
    await page.setInputFiles("#file", file("text.txt"));
    await page.waitForFunction(() => document.getElementById("problem-title").textContent.includes("no picture"));
    for (const name of ["photo.gif", "photo.webp", "photo.heic"]) {
      await page.click("#home");
      await page.setInputFiles("#file", file(name));
      await page.waitForFunction(() => document.documentElement.dataset.state !== "problem" || location.hash === "#photo");
      await page.waitForTimeout(200);
      await settled(page);
      seen[name] = await page.evaluate(() => ({ state: document.documentElement.dataset.state, shown: document.getElementById("canvas").checkVisibility(), title: document.getElementById("problem-title").textContent }));
    }
    await page.setInputFiles("#file", file("large.jpg"));
    await page.waitForTimeout(50);
    const transfer = await page.evaluateHandle((bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
      return data;
    }, [...readFileSync(file("photo.jpg"))]);
    await page.dispatchEvent("body", "dragenter", { dataTransfer: transfer });
    seen.over = await page.isVisible("#over");
    await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
    await page.waitForFunction(() => [...document.querySelectorAll("#strip .strip-item:not(.strip-add)")].filter((item) => ["met", "look", "not-met"].includes(item.dataset.verdict)).length === 2);
    seen.queued = true;
    await page.route("**/v1/photos", (route) => setTimeout(() => route.continue().catch(() => {}), 3000));
    await page.setInputFiles("#file", file("photo.jpg"));
    await page.click("#cancel");
    await page.waitForSelector("#busy", { state: "hidden" });
    seen.cancelled = await page.textContent("#note");
    await page.unroute("**/v1/photos");

    const away = await browser.newContext(DESKTOP).then((context) => context.newPage());
    away.on("pageerror", (error) => seen.complaints.push(String(error.stack)));
    await away.route("**/page/settings", (route) => route.abort());
    await away.goto(open);
    await away.waitForSelector("html[data-ready]");
    seen.away = await away.isVisible("#away");
    await away.unroute("**/page/settings");
    await away.route("**/v1/sizes*", (route) => route.abort());
    await away.click("#away-retry");
    await away.waitForSelector("#away", { state: "hidden" });
    await away.fill("#search-start", "visa");
    seen.sizesAway = await away.isVisible("#start-picker .search-problem");
    await away.unroute("**/v1/sizes*");
    await away.locator("#start-picker .search-problem button").click();
    await away.waitForSelector("#found-start [role=option]");

    const login = await visit(keyed, { ...PHONE });
    seen.login = await login.isVisible("#login");
    await axe(login, "login");
    await login.fill("#api-key", apiKey);
    await login.fill("#secret-key", "wrong");
    await login.click("#login-form button");
    await login.waitForSelector("#login-problem:not([hidden])");
    await login.fill("#secret-key", secretKey);
    await login.click("#login-form button");
    await login.waitForSelector("#start:not([hidden])");
    await finish(login, file("photo.jpg"), "cn-1inch");
    seen.keyed = await login.textContent("#result-title");
    seen.stored = await login.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));

    const camera = await visit(open, DESKTOP);
    await camera.click("#camera-open");
    await camera.waitForSelector("#camera[open]");
    await camera.click("#camera-timer");
    await camera.click("#camera-shoot");
    await camera.waitForFunction(() => document.getElementById("drop-title").textContent.includes("Now choose"));
    seen.camera = true;
  },
};

await walks[walk]();
await browser.close();
console.log(JSON.stringify(seen));
