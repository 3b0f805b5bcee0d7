// What goes wrong with a photo, and at the door: two people, on the side, no picture, a drop while working, cancel; the server away, keys.
import { readFileSync } from "node:fs";
import { DESKTOP, PHONE, drawn, finish, gate, settled, shows } from "./tour.mjs";

const verdicts = (page, count) => page.waitForFunction((count) => [...document.querySelectorAll("#strip .strip-item:not(.strip-add)")].filter((item) => ["met", "look", "not-met"].includes(item.dataset.verdict)).length === count, count);

export async function photos(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP);
  await finish(page, tour.file("two.png"), "us-visa");
  seen.two = { title: await page.textContent("#problem-title"), save: await page.isVisible("#save") };
  await tour.look(page, "two-people");
  await page.setInputFiles("#file", tour.file("side.png"));
  await shows(page, "problem-title", "side");
  seen.side = await page.locator("#problem-actions button").first().textContent();
  await page.locator("#problem-actions button").first().click();
  await settled(page);
  await page.setInputFiles("#file", tour.file("text.txt"));
  await shows(page, "problem-title", "no picture");
  for (const name of ["photo.gif", "photo.webp", "photo.heic"]) {
    await page.click("#home");
    await page.waitForSelector("#start:not([hidden])");
    await page.setInputFiles("#file", tour.file(name));
    await settled(page);
    seen[name] = await page.evaluate(() => ({ state: document.documentElement.dataset.state, shown: document.getElementById("canvas").checkVisibility(), title: document.getElementById("problem-title").textContent }));
  }
  await queue(tour, page);
}

/** A drop while another photo is on its way waits; a photo on its way can be cancelled. */
async function queue(tour, page) {
  const { seen } = tour;
  await page.click("#home");
  await page.waitForSelector("#start:not([hidden])");
  let open = await gate(page, "**/v1/photos");
  await page.setInputFiles("#file", tour.file("large.jpg"));
  await page.waitForSelector("#busy:not([hidden])");
  const transfer = await page.evaluateHandle((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
    return data;
  }, [...readFileSync(tour.file("photo.jpg"))]);
  await page.dispatchEvent("body", "dragenter", { dataTransfer: transfer });
  seen.over = await page.isVisible("#over");
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  await page.waitForSelector('#strip .strip-item[data-verdict="wait"]');
  await open();
  await verdicts(page, 2);
  open = await gate(page, "**/v1/photos");
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await page.click("#cancel");
  await page.waitForSelector("#busy", { state: "hidden" });
  seen.cancelled = await page.textContent("#note");
  await open();
}

export async function doors(tour) {
  await away(tour);
  await keys(tour);
  await camera(tour);
}

async function away(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP, (page) => page.route("**/page/settings", (route) => route.abort()));
  seen.away = await page.isVisible("#away");
  await page.unroute("**/page/settings");
  await page.route("**/v1/sizes*", (route) => route.abort());
  await page.click("#away-retry");
  await page.waitForSelector("#away", { state: "hidden" });
  await page.waitForSelector("#start-picker .search-problem:not([hidden])");
  await page.unroute("**/v1/sizes*");
  await page.locator("#start-picker .search-problem button").click();
  await page.waitForSelector("#start-picker .tile");
  await page.fill("#search-start", "visa");
  await page.waitForSelector("#found-start [role=option]");
}

async function keys(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.keyed, PHONE);
  seen.login = await page.isVisible("#login");
  await tour.look(page, "login");
  await page.fill("#api-key", tour.apiKey);
  await page.fill("#secret-key", "wrong");
  await page.click("#login-form button");
  await page.waitForSelector("#login-problem:not([hidden])");
  await page.fill("#secret-key", tour.secretKey);
  await page.click("#login-form button");
  await page.waitForSelector("#start:not([hidden])");
  await finish(page, tour.file("photo.jpg"), "cn-1inch");
  seen.keyed = await page.textContent("#result-title");
  seen.stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
}

async function camera(tour) {
  const page = await tour.visit(tour.open, DESKTOP);
  await page.click("#camera-open");
  await page.waitForSelector("#camera[open]");
  await page.click("#camera-timer");
  await page.click("#camera-shoot");
  await shows(page, "drop-title", "Now choose");
}
