// One headless Chromium for all walks of a test run. Reads a line of JSON for each walk, answers with a line of what was seen.
// Usage: node driver.mjs CHROMIUM FOLDER   (FOLDER holds the photos; gets downloads, and screenshots where SHOTS is set)
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";
import { Tour } from "./tour.mjs";

const [executablePath, folder] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream=device-count=2,fps=5", "--use-fake-ui-for-media-stream", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];
const browser = await chromium.launch({ executablePath, args });
for await (const line of createInterface({ input: process.stdin })) {
  const { script, walk, ...settings } = JSON.parse(line);
  const tour = new Tour(browser, folder, settings);
  try {
    await (await import(`./${script}`))[walk](tour);
    console.log(JSON.stringify({ seen: tour.seen }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack), seen: tour.seen, page: await tour.describe() }));
  }
  await tour.close();
}
await browser.close();
