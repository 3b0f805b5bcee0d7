// Drives the web page in headless Chromium with Playwright, as a person would. Prints one JSON object of what was seen.
// Usage: node page.mjs CHROMIUM OPEN_URL KEYED_URL API_KEY SECRET_KEY FOLDER   (FOLDER holds photo.png, two.png, wide.png; gets screenshots)
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [executablePath, open, keyed, apiKey, secretKey, folder] = process.argv.slice(2);
const photo = join(folder, "photo.png"), two = join(folder, "two.png"), large = join(folder, "large.png"), gif = join(folder, "photo.gif");
const seen = { complaints: [], foreign: [] };

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});

async function visit(url, options) {
  const context = await browser.newContext({ acceptDownloads: true, locale: "en-US", permissions: ["camera"], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(40_000);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text()); });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("request", (request) => { if (!/^(http:\/\/127\.0\.0\.1:|blob:|data:)/.test(request.url())) seen.foreign.push(request.url()); });
  await page.goto(url);
  await page.waitForSelector("html[data-ready]");
  return page;
}
const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
async function download(page, button, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  await file.saveAs(join(folder, name));
  return file.suggestedFilename();
}

// --- wide: upload, look, change, download ---
let page = await visit(open, { viewport: { width: 1280, height: 900 } });
seen.title = await page.textContent("#start-title");
await shot(page, "wide-start");
await page.setInputFiles("#file", photo);
await page.waitForSelector("#result:not([hidden])");
seen.facts = await page.textContent("#facts");
await shot(page, "wide-compare");
seen.swatches = await page.locator("#swatches input").evaluateAll((inputs) => inputs.map((input) => input.getAttribute("aria-label")));
await page.click('#swatches label[title="Blue"]');
seen.afterPixel = await page.evaluate(() => [...document.getElementById("after").getContext("2d").getImageData(0, 0, 1, 1).data]);
await shot(page, "wide-blue");
seen.saved = await download(page, "#save-photo", "blue.png");
await page.click('#swatches label[title="Transparent"]');
await download(page, "#save-photo", "transparent.png");
await download(page, "#save-mask", "mask.png");
await download(page, "#save-json", "reply.json");
await page.focus("#split");
await page.keyboard.press("ArrowLeft");
seen.split = await page.evaluate(() => getComputedStyle(document.getElementById("compare")).getPropertyValue("--split"));
await page.focus("#view-compare");
await page.keyboard.press("ArrowRight");
seen.tab = await page.evaluate(() => document.activeElement.id);
seen.points = await page.locator("#drawing circle").count();
seen.drawn = await page.evaluate(() => {
  const photo = document.getElementById("drawn-photo").getBoundingClientRect(), svg = document.getElementById("drawing").getBoundingClientRect();
  const circles = [...document.querySelectorAll("#drawing circle")].map((one) => [one.querySelector("title").textContent, +one.getAttribute("cx"), +one.getAttribute("cy")]);
  return { same: Math.abs(photo.width - svg.width) + Math.abs(photo.height - svg.height) < 2, circles };
});
await shot(page, "wide-points");
for (const view of ["cut", "scoremap", "demo"]) {
  await page.click(`#view-${view}`);
  await page.waitForFunction(() => document.getElementById("plain-image").complete && document.getElementById("plain-image").naturalWidth > 0);
}

// --- refusals ---
await page.click("#again");
await page.setInputFiles("#file", two);
await page.waitForSelector("#problem:not([hidden])");
seen.problem = { title: await page.textContent("#problem-title"), why: await page.textContent("#problem-why"), todo: await page.textContent("#problem-do"), code: await page.textContent("#problem-code") };
seen.focused = await page.evaluate(() => document.activeElement.id);
await shot(page, "wide-problem");
await page.click("#language");
seen.problemChinese = await page.textContent("#problem-title");
await shot(page, "wide-problem-chinese");
await page.click("#language");
await page.click("#problem-again");
await page.setInputFiles("#file", gif);
await page.waitForSelector("#problem:not([hidden])");
seen.gif = await page.textContent("#problem-title");

// --- a photo that is too large is scaled, a photo dropped on the page, the camera ---
await page.click("#problem-again");
await page.setInputFiles("#file", large);
await page.waitForSelector("#result:not([hidden])");
seen.scaled = await page.textContent("#note");
await page.click("#again");
const dropped = await page.evaluateHandle((bytes) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(bytes)], "photo.png", { type: "image/png" }));
  return transfer;
}, [...readFileSync(photo)]);
await page.dispatchEvent("#drop", "drop", { dataTransfer: dropped });
await page.waitForSelector("#result:not([hidden])");
await page.click("#again");
await page.click("#camera-open");
await page.waitForSelector("#camera[open]");
await page.waitForTimeout(500);
await shot(page, "wide-camera");
seen.cameraSize = await page.evaluate(() => `${document.getElementById("video").videoWidth} × ${document.getElementById("video").videoHeight}`);
await page.click("#camera-shoot");
await page.waitForSelector("#result:not([hidden]), #problem:not([hidden])");
seen.camera = await page.textContent("#facts");
seen.cameraWorked = await page.isVisible("#result");
await page.close();

// --- by keyboard alone ---
page = await visit(open, { viewport: { width: 1280, height: 900 } });
const reached = [];
for (let n = 0; n < 9; n++) {
  await page.keyboard.press("Tab");
  reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.className));
}
seen.tabOrder = reached;
await page.close();

// --- phone-narrow, dark, Chinese ---
page = await visit(open, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, locale: "zh-CN", colorScheme: "dark" });
seen.narrow = { title: await page.textContent("#start-title"), lang: await page.getAttribute("html", "lang"), overflow: [await overflow(page)] };
await shot(page, "narrow-start");
await page.setInputFiles("#file", photo);
await page.waitForSelector("#result:not([hidden])");
seen.narrow.overflow.push(await overflow(page));
await shot(page, "narrow-result");
await page.tap("#view-points");
await shot(page, "narrow-points");
await page.tap("#again");
await page.setInputFiles("#file", two);
await page.waitForSelector("#problem:not([hidden])");
seen.narrow.problem = await page.textContent("#problem-why");
seen.narrow.overflow.push(await overflow(page));
await shot(page, "narrow-problem");
await page.close();

// --- a server with keys ---
page = await visit(keyed, { viewport: { width: 1280, height: 900 } });
seen.login = await page.isVisible("#login");
await page.fill("#api-key", apiKey);
await page.fill("#secret-key", "wrong-secret");
await page.click("#login-form button");
await page.waitForSelector("#login-problem:not([hidden])");
seen.loginProblem = await page.textContent("#login-problem");
await shot(page, "wide-login");
await page.fill("#secret-key", secretKey);
await page.click("#login-form button");
await page.waitForSelector("#start:not([hidden])");
await page.setInputFiles("#file", photo);
await page.waitForSelector("#result:not([hidden])");
seen.loginStored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
await page.close();

// --- the documentation ---
page = await visit(`${open}/docs`, { viewport: { width: 1100, height: 900 } });
seen.operations = await page.locator(".operation h2 code").allTextContents();
await shot(page, "wide-docs");
await browser.close();
console.log(JSON.stringify(seen));
