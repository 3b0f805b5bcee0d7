// Drives the ID photo panel of the web page in headless Chromium with Playwright, as a person would. Prints one JSON object of what
// was seen. Usage: node page_photo.mjs CHROMIUM OPEN_URL KEYED_URL API_KEY SECRET_KEY FOLDER   (FOLDER holds photo.png; gets screenshots)
import { chromium } from "playwright-core";
import { join } from "node:path";

const [executablePath, open, keyed, apiKey, secretKey, folder] = process.argv.slice(2);
const photo = join(folder, "photo.png");
const seen = { complaints: [], foreign: [] };

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"] });

async function visit(url, options) {
  const context = await browser.newContext({ acceptDownloads: true, locale: "en-US", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text()); });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("request", (request) => { if (!/^(http:\/\/127\.0\.0\.1:|blob:|data:)/.test(request.url())) seen.foreign.push(request.url()); });
  await page.goto(url);
  await page.waitForSelector("html[data-ready]");
  return page;
}
const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
const upload = async (page) => {
  await page.setInputFiles("#file", photo);
  await page.waitForSelector("#size-list .size-row");
};
async function finished(page, name) {
  await page.waitForSelector("#id-photo:not([aria-busy])");
  await page.waitForFunction((name) => document.getElementById("id-view").getAttribute("aria-label")?.includes(name), name);
  await page.waitForSelector("#id-view", { state: "visible" });
  await page.waitForFunction(() => document.getElementById("id-busy").hidden);
  await page.waitForTimeout(100);
}
async function choose(page, word, row, name) {
  await page.fill("#size-word", word);
  await page.locator(`#size-list input[value="${row}"]`).check();
  await finished(page, name);
}
async function download(page, button, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  await file.saveAs(join(folder, name));
  return file.suggestedFilename();
}
const statuses = (page) => page.locator("#id-rules li").evaluateAll((items) => items.map((item) => [item.dataset.rule, item.className, item.querySelector(".advice")?.textContent ?? ""]));

// --- wide: search, choose, look, change, save ---
let page = await visit(open, { viewport: { width: 1280, height: 900 } });
await upload(page);
seen.sizes = await page.locator("#size-list .size-row").count();
seen.empty = await page.textContent("#id-empty");
await shot(page, "photo-wide-empty");
await page.fill("#size-word", "Japan");
seen.japan = await page.locator("#size-list .size-title").allTextContents();
await page.fill("#size-word", "zzzz");
seen.none = await page.textContent("#size-none:not([hidden])");
await choose(page, "us visa", "us-visa", "visa");
seen.visa = { verdict: await page.textContent("#id-verdict"), rules: await statuses(page), guides: await page.locator("#id-view .guide").count(), bands: await page.locator("#id-view .band").count(), figures: await page.locator("#id-view text").allTextContents(), source: await page.textContent("#id-source"), backs: await page.locator("#id-backs input").count(), back: await page.textContent("#id-back-rule"), status: await page.textContent("#id-status"), save: await page.textContent("#id-save") };
await shot(page, "photo-wide-visa");
seen.visa.saved = await download(page, "#id-save", "visa.jpg");
await page.uncheck("#id-guides-on");
seen.guidesOff = await page.locator("#id-view .guide").count();
await page.check("#id-guides-on");

await choose(page, "1 inch", "cn-1inch", "China 1 inch");
seen.backs = await page.locator("#id-backs input").evaluateAll((inputs) => inputs.map((input) => input.getAttribute("aria-label")));
await page.locator('#id-backs input[value="#438edb"]').check();
await finished(page, "China 1 inch");
seen.inch = await download(page, "#id-save", "inch.jpg");
await page.selectOption("#id-paper", "a4");
seen.sheet = await download(page, "#id-sheet", "sheet.pdf");
await page.waitForFunction(() => document.getElementById("id-sheet-note").textContent);
seen.sheetNote = await page.textContent("#id-sheet-note");
await shot(page, "photo-wide-inch");

// --- by keyboard: the arrow keys walk through the sizes, the last one is shown ---
await page.fill("#size-word", "inch");
await page.focus('#size-list input[value="cn-1inch"]');
const before = await page.locator("#size-list input").evaluateAll((inputs) => inputs.map((input) => input.value));
const asked = [];
page.on("request", (request) => { if (request.url().includes("/v1/photo?")) asked.push(new URL(request.url()).searchParams.get("size")); });
await page.keyboard.press("ArrowDown");
await page.keyboard.press("ArrowDown");
await page.keyboard.press("ArrowDown");
await finished(page, "China 2 inch");
seen.keyboard = { before, asked, focused: await page.evaluate(() => document.activeElement.value) };

// --- a slow answer to an old question is not shown ---
await page.route("**/v1/photo?size=us-passport*", async (route) => {
  await new Promise((done) => setTimeout(done, 1500));
  await route.continue().catch(() => {});
});
await page.fill("#size-word", "us passport");
await page.locator('#size-list input[value="us-passport"]').check();
await page.waitForTimeout(500);
await choose(page, "gb-passport", "gb-passport", "passport");
const label = () => page.getAttribute("#id-view", "aria-label");
const first = await label();
await page.waitForTimeout(1600);
seen.stale = [first, await label()];

// --- what cannot be made is said, and the way out ---
await page.fill("#size-word", "35x4500mm");
await page.locator("#size-list input").first().check();
await page.waitForSelector("#id-problem:not([hidden])");
seen.problem = await page.textContent("#id-problem-text");
await shot(page, "photo-wide-problem");
await page.fill("#size-word", "30 × 40 mm");
await page.locator("#size-list input").first().check();
await finished(page, "30x40mm");
seen.number = { problem: await page.isVisible("#id-problem"), basis: await page.textContent("#id-source") };

// --- the other language, another photo ---
await page.click("#language");
seen.chinese = { title: await page.textContent("#id-photo-title"), rules: await page.locator("#id-rules .rule").allTextContents(), advice: (await statuses(page)).map((rule) => rule[2]).filter(Boolean), save: await page.textContent("#id-save") };
await page.fill("#size-word", "日本");
seen.japanChinese = await page.locator("#size-list .size-title").allTextContents();
await page.click("#again");
await upload(page);
await finished(page, "30x40mm");
seen.again = await page.isVisible("#id-checks");
await page.close();

// --- phone-narrow, dark, Chinese ---
page = await visit(open, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, locale: "zh-CN", colorScheme: "dark" });
await upload(page);
await choose(page, "一寸", "cn-1inch", "一寸");
seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await shot(page, "photo-narrow");
await page.close();

// --- a server with keys ---
page = await visit(keyed, { viewport: { width: 900, height: 900 } });
await page.fill("#api-key", apiKey);
await page.fill("#secret-key", secretKey);
await page.click("#login-form button");
await page.waitForSelector("#start:not([hidden])");
await upload(page);
await choose(page, "schengen", "schengen-visa", "Schengen");
seen.keyed = await page.textContent("#id-verdict");
await shot(page, "photo-middle");
await browser.close();
console.log(JSON.stringify(seen));
