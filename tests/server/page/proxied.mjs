// The page under a path of a proxy: one photo finished, without one address that is not there. Prints one JSON object.
// Usage: node proxied.mjs CHROMIUM URL API_KEY SECRET_KEY FOLDER   (FOLDER holds photo.jpg)
import { chromium } from "playwright-core";
import { join } from "node:path";

const [executablePath, url, apiKey, secretKey, folder] = process.argv.slice(2);
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args: [...QUIET, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"] });
const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US" })).newPage();
const seen = { bad: [], paths: [], complaints: [] };
page.on("pageerror", (error) => seen.complaints.push(String(error.stack)));
page.on("response", (answer) => (answer.status() < 400 ? seen.paths : seen.bad).push(new URL(answer.url()).pathname));
await page.goto(url); // without the slash at its end
await page.waitForSelector("html[data-ready]");
await page.fill("#api-key", apiKey);
await page.fill("#secret-key", secretKey);
await page.click("#login-form button");
await page.click('#start-picker .tile[data-size="us-passport"]');
await page.setInputFiles("#file", join(folder, "photo.jpg"));
await page.waitForFunction(() => ["done", "problem"].includes(document.documentElement.dataset.state) && document.getElementById("busy").hidden);
seen.state = await page.evaluate(() => document.documentElement.dataset.state);
await page.click("#home");
seen.home = new URL(page.url()).pathname;
await page.click('.top-actions a[data-t="docs"]');
await page.waitForSelector("html[data-ready]");
seen.docs = new URL(page.url()).pathname;
seen.example = await page.textContent("#example");
await page.click("a.brand");
await page.waitForSelector("html[data-ready]");
seen.back = new URL(page.url()).pathname;
await browser.close();
console.log(JSON.stringify(seen));
