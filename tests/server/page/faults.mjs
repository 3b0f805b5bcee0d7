// What goes wrong with a photo, and at the door: two people, on the side, no picture, a drop while working, cancel; the server away, keys.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { DESKTOP, PHONE, drawn, finish, finished, gate, settled, shows } from "./tour.mjs";

const verdicts = (page, count) => page.waitForFunction((count) => [...document.querySelectorAll("#strip .strip-item:not(.strip-add)")].filter((item) => ["met", "look", "not-met"].includes(item.dataset.verdict)).length === count, count);

export async function photos(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP);
  await finish(page, tour.file("two.png"), "us-visa");
  seen.two = { title: await page.textContent("#problem-title"), save: await page.isVisible("#save") };
  await page.waitForSelector("#people .person:nth-child(2)");
  await tour.look(page, "two-people");
  await page.locator("#people .person").nth(1).click();
  await finished(page);
  await page.waitForSelector("#canvas");
  await page.setInputFiles("#file", tour.file("side.png"));
  await shows(page, "problem-title", "side");
  seen.side = await page.locator("#problem-actions button").first().textContent();
  await tour.look(page, "on-its-side");
  await page.locator("#problem-actions button").first().click();
  await finished(page);
  await page.setInputFiles("#file", tour.file("text.txt"));
  await shows(page, "problem-title", "no picture");
  await page.setViewportSize({ width: 640, height: 450 }); // 1280 px at 200 %
  await drawn(page);
  await tour.look(page, "zoom-200");
  await page.setViewportSize(DESKTOP.viewport);
  for (const name of ["photo.gif", "photo.webp", "photo.heic"]) {
    await page.click("#home");
    await page.waitForSelector("#start:not([hidden])");
    await page.setInputFiles("#file", tour.file(name));
    await finished(page);
    await page.waitForSelector("#canvas");
  }
  await queue(tour, page);
  await broken(tour, page);
}

/** A drop while another photo is on its way waits; a photo on its way can be cancelled. */
async function queue(tour, page) {
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
  await page.waitForSelector("#over:not([hidden])"); // a drop is answered everywhere
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  await page.waitForSelector('#strip .strip-item[data-verdict="wait"]');
  await open();
  await verdicts(page, 2);
  open = await gate(page, "**/v1/photos");
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await page.click("#cancel");
  await shows(page, "problem-title", "Cancelled");
  await page.waitForSelector("#busy", { state: "hidden" });
  await open();
  await page.locator("#problem-actions button").first().click();
  await verdicts(page, 3);
}

/** A large photo is sent small, once, with per cent; a connection that breaks loses neither it nor the last good result. */
async function broken(tour, page) {
  const { seen } = tour;
  const network = await page.context().newCDPSession(page);
  const throttle = (bytes) => network.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
  await network.send("Network.enable");
  await throttle(100 * 1024);
  const sent = page.waitForResponse((one) => one.url().endsWith("/v1/photos"));
  await page.setInputFiles("#file", tour.file("large.jpg"));
  await page.waitForFunction(() => /[1-9]\d? %/.test(document.getElementById("busy-text").textContent) && document.getElementById("busy-progress").value > 0);
  await throttle(-1);
  const { bytes, handle } = await (await sent).json();
  await settled(page);
  seen.sent = { bytes, ...(await page.evaluate(async (handle) => JSON.parse((await fetch(`/v1/photos/${handle}`)).headers.get("x-idseg-facts")), handle)) };
  await page.route("**/v1/photos", (route) => route.abort("connectionreset"));
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await shows(page, "problem-title", "No answer");
  await page.waitForSelector("#stage-photo"); // the photo is kept
  await verdicts(page, 4); // the others keep their results
  await page.unroute("**/v1/photos");
  await page.locator("#problem-actions button").first().click();
  await finished(page);
  await verdicts(page, 5);
}

export async function doors(tour) {
  await away(tour);
  await keys(tour);
  await home(tour);
}

async function away(tour) {
  const page = await tour.visit(tour.open, DESKTOP, (page) => page.route("**/page/settings", (route) => route.abort()));
  await page.waitForSelector("#away:not([hidden])");
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await tour.look(page, "away");
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
  await page.waitForSelector("#login:not([hidden])");
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
  await page.locator("#details > summary").click();
  await page.waitForSelector("#curl pre");
  const line = (await page.textContent("#curl pre")).replace("selfie.jpg", "photo.jpg").replace("-o photo.jpg", "-s -o by-keys.jpg");
  execFileSync("bash", ["-c", line], { cwd: tour.folder, env: { ...process.env, IDSEG_API_KEY: tour.apiKey, IDSEG_SECRET_KEY: tour.secretKey } });
  seen.stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
}

/** A one-time link: once, and the tab stays in. */
async function home(tour) {
  const { seen } = tour;
  const page = await tour.visit(`${tour.home}/#link=${tour.secret}`, PHONE);
  await page.waitForSelector("#start:not([hidden])");
  seen.address = page.url();
  await finish(page, tour.file("photo.jpg"), "cn-1inch");
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  await finished(page);
  seen.atHome = await page.textContent("#result-title");
  const late = await tour.visit(`${tour.home}/#link=${tour.secret}`, PHONE);
  seen.late = await late.textContent("#link-problem");
  await tour.look(late, "link-used");
}
