// Three people, each on a device, in a language and in colours that the test names: a parent, a clerk with a batch, a developer.
import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { drawn, finish, finished, painted, refused, settled, shows, until } from "./tour.mjs";

const RED = "#d9001b";

/** Two 2 x 2 inch photos on 4 x 6 paper, as JPEG and as PDF. */
export async function parent(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, tour.options);
  await tour.look(page, tour.here("start"));
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await page.waitForSelector("#drop-thumb:not([hidden])");
  await choose(page, "us-passport", "us-passport");
  await settled(page);
  if (tour.device === "phone") {
    await page.waitForFunction(() => document.getElementById("save-bar").getBoundingClientRect().bottom <= innerHeight + 1); // Save stays on the screen
    await page.waitForFunction(() => document.getElementById("canvas").getBoundingClientRect().bottom <= innerHeight); // the photo comes first
  }
  seen.scrolled = await page.evaluate(() => scrollY);
  seen.done = await page.textContent("#done-line");
  await tour.shot(page, tour.here("result")); // looked at with the sheet below it
  await page.locator("#sheet-options > summary").click();
  await page.waitForSelector("#paper option", { state: "attached" });
  seen.papers = await page.locator("#paper option").allTextContents();
  await page.selectOption("#paper", "6inch");
  await page.selectOption("#copies", "2");
  await page.waitForFunction(() => /^2 photos|共 2 张$/.test(document.getElementById("sheet-preview").getAttribute("aria-label")));
  seen.jpeg = await tour.download(page, "#save-sheet", "sheet.jpg");
  await page.selectOption("#sheet-format", "pdf");
  seen.pdf = await tour.download(page, "#save-sheet", "sheet.pdf");
  seen.note = await until(page, () => document.getElementById("sheet-note").textContent);
  if (tour.device === "phone") await page.setViewportSize({ width: 320, height: 640 });
  await drawn(page);
  await tour.look(page, tour.here("sheet"));
  await serverAway(tour, page, "PNG");
}

/** Choose a document by its tile, or by the search where this language has no tile for it. */
async function choose(page, size, word) {
  const tile = page.locator(`#start-picker .tile[data-size="${size}"]`);
  if (await tile.count()) return tile.click(); // all tiles came with the page
  await page.fill("#search-start", word);
  await page.click(`#found-start [data-size="${size}"]`);
}

/** The server gone: another background is drawn here, the file saved is what is seen, in the format and the kilobytes that are chosen; back again, the server makes it. */
async function serverAway(tour, page, format) {
  const { seen } = tour;
  await page.context().setOffline(true);
  await page.locator(`#backgrounds input[value="${RED}"]`).check();
  await painted(page, RED);
  await refused(page);
  await shows(page, "save-about", "JPEG");
  seen.away = { title: await page.textContent("#problem-title"), note: await page.textContent("#background-note"), jpeg: await tour.download(page, "#save", "away.jpg") };
  await page.evaluate(() => (document.getElementById("file-options").open = true));
  await page.selectOption("#format", format);
  await shows(page, "save-about", format);
  seen.away.other = await tour.download(page, "#save", "away.other");
  await page.selectOption("#format", "PDF");
  await page.waitForSelector("#save:disabled");
  await page.selectOption("#format", "");
  await refused(page);
  await page.context().setOffline(false);
  await page.locator("#problem-actions button").first().click();
  await finished(page);
  await tour.download(page, "#save", "back.jpg");
}

/** One inch, blue, 20 to 50 KB, many photos at once, as a ZIP. */
export async function clerk(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, tour.options);
  await page.fill("#search-start", "295x413");
  seen.read = await until(page, () => document.querySelector("#start-picker .search-note").textContent);
  seen.best = await page.locator('#found-start [aria-selected="true"]').textContent();
  await page.press("#search-start", "Escape");
  await page.waitForSelector("#found-start", { state: "hidden" });
  await choose(page, "cn-1inch", "295x413");
  await page.setInputFiles("#file", JSON.parse(readFileSync(tour.file("batch.json"), "utf8")).map(tour.file));
  await page.waitForSelector("#strip .strip-item:nth-child(3)");
  await page.locator('#backgrounds input[value="#438edb"]').check();
  await page.locator("#file-options > summary").click();
  await page.fill("#kb-least", "20");
  await page.fill("#kb-most", "50");
  await page.locator("#kb-most").blur();
  const brighter = page.waitForResponse((one) => one.url().includes("light=0.30"));
  await page.fill("#light", "0.3");
  await brighter;
  await settled(page);
  seen.edited = await page.textContent("#done-line");
  await page.waitForSelector("#save-all:not([disabled])");
  seen.zip = await tour.download(page, "#save-all", "all.zip");
  await page.waitForFunction(() => [...document.querySelectorAll("#strip .strip-item:not(.strip-add)")].every((item) => ["met", "look", "not-met"].includes(item.dataset.verdict)));
  seen.verdicts = await page.locator("#strip .strip-item:not(.strip-add)").evaluateAll((found) => found.map((item) => item.getAttribute("aria-label")));
  Object.assign(seen, await page.evaluate(spoken));
  await tour.look(page, tour.here("several"));
  seen.notApplicable = await page.locator('#rules li[data-status="not applicable"]').count();
  await serverAway(tour, page, "WEBP");
}

/** Texts of the result, and names of all elements, that are not in the page's language. Runs in the page. */
function spoken() {
  const chinese = document.documentElement.lang === "zh-CN", han = /[\u4e00-\u9fff]/, latin = /[A-Za-z]{4,}/;
  const texts = [...document.querySelectorAll("#result *")].filter((element) => !element.children.length && element.checkVisibility()).map((element) => element.textContent);
  const names = [...document.querySelectorAll("body *")].flatMap((element) => ["title", "aria-label", "placeholder", "alt"].map((name) => element.getAttribute(name) ?? ""));
  const known = /^[A-Z]{3,5}( ·|，|$)|cm|KB|dpi|JSON|curl/;
  return chinese
    ? { strange: texts.filter((text) => latin.test(text) && !known.test(text)), strangeNames: names.filter((text) => latin.test(text) && !han.test(text)) }
    : { strange: texts.filter((text) => han.test(text)), strangeNames: names.filter((text) => han.test(text)) };
}

/** The copied curl line answers; the JSON; the page of the API. */
export async function developer(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, tour.options);
  await finish(page, tour.file("photo.jpg"), "us-visa");
  await page.locator("#details > summary").click();
  await page.waitForSelector("#curl pre");
  await page.waitForFunction(() => document.querySelectorAll("#details svg .point").length === 10);
  seen.labels = await page.evaluate(() => {
    const boxes = [...document.querySelectorAll("#details svg text")].map((text) => text.getBoundingClientRect());
    return boxes.flatMap((one, index) => boxes.slice(index + 1).filter((other) => one.left < other.right && other.left < one.right && one.top < other.bottom - 1 && other.top < one.bottom - 1)).length;
  });
  await page.context().setOffline(true); // what is shown can be copied with the server away
  seen.curl = await copied(page, "curl", "curl ");
  const lines = await copied(page, "python", "import Client");
  await page.context().setOffline(false);
  execFileSync("bash", ["-c", seen.curl.replace("selfie.jpg", "photo.jpg").replace("-o photo.jpg", "-s -o by-curl.jpg")], { cwd: tour.folder });
  if (tour.python) seen.python = execFileSync(tour.python, ["-c", lines.replace("selfie.jpg", "photo.jpg")], { cwd: tour.folder, env: { ...process.env, PYTHONPATH: tour.root } }).toString();
  seen.facts = await page.textContent("#details dl");
  await tour.look(page, tour.here("developer"));
  await serverAway(tour, page, "WEBP");
  const docs = await tour.visit(`${tour.open}/docs`, tour.options);
  seen.docs = { title: await docs.textContent("#title"), example: await docs.textContent("#example"), operations: await docs.locator(".operation h2 code").allTextContents(), said: await docs.locator(".operation > p:not(.hint), .operation td:nth-child(3)").allTextContents() };
  if (tour.device === "phone") await tour.look(docs, tour.here("docs")); // long, and the same on a desktop
}

/** The clipboard after a press on Copy, once it has a text with these words. */
async function copied(page, id, words) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await page.locator(`#${id} button`).click();
  return until(page, async (words) => {
    const text = await navigator.clipboard.readText();
    return text.includes(words) && text;
  }, words);
}
