// With the real models: how long the page takes, and a clerk's batch of real portraits. Prints one JSON object.
// Usage: node real.mjs CHROMIUM URL LARGE PHOTOS FOLDER   (LARGE: a 12 MP photo; PHOTOS: a JSON file of paths)
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [executablePath, url, large, photos, folder] = process.argv.slice(2);
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args: QUIET });
const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "zh-CN", acceptDownloads: true })).newPage();
page.setDefaultTimeout(120_000);
const seen = { finishedMs: [], backgroundMs: [] };
await page.goto(url);
await page.waitForSelector("html[data-ready]");
await page.click('#start-picker .tile[data-size="cn-1inch"]');
for (let round = 0; round < 3; round++) {
  await page.evaluate(() => {
    document.documentElement.dataset.state = "busy";
    window.begun = 0;
    document.getElementById("file").addEventListener("change", () => (window.begun = performance.now()), { capture: true, once: true });
  });
  const finished = page.evaluate(() => new Promise((resolve) => {
    const look = () => (window.begun && document.documentElement.dataset.state === "done" ? resolve(performance.now() - window.begun) : setTimeout(look, 5));
    look();
  }));
  await page.setInputFiles("#file", large);
  seen.finishedMs.push(Math.round(await finished));
  if (round < 2) await page.click("#home");
}
for (const [value, red] of [["#438edb", 67], ["#d9001b", 217], ["#ffffff", 255]]) {
  seen.backgroundMs.push(await page.evaluate(async ([value, red]) => {
    const canvas = document.getElementById("canvas"), begun = performance.now();
    document.querySelector(`#backgrounds input[value="${value}"]`).click();
    while (canvas.getContext("2d").getImageData(3, 3, 1, 1).data[0] !== red) await new Promise(requestAnimationFrame);
    return Math.round(performance.now() - begun);
  }, [value, red]));
  await page.waitForTimeout(800);
}
await page.click("#home");
await page.setInputFiles("#file", JSON.parse(readFileSync(photos, "utf8")));
await page.locator('#backgrounds input[value="#438edb"]').check();
await page.locator("#file-options > summary").click();
await page.fill("#kb-least", "20");
await page.fill("#kb-most", "50");
await page.locator("#kb-most").blur();
await page.waitForFunction(() => !document.getElementById("save-all").disabled && document.documentElement.dataset.state === "done");
const [got] = await Promise.all([page.waitForEvent("download"), page.click("#save-all")]);
await got.saveAs(join(folder, "real.zip"));
await browser.close();
console.log(JSON.stringify(seen));
