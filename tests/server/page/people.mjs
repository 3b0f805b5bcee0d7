// Three people: a parent on a phone, a clerk with a batch, a developer.
import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { DESKTOP, PHONE, drawn, finish, settled, shows } from "./tour.mjs";

/** Two 2 x 2 inch photos on 4 x 6 paper, as JPEG and as PDF; English, light. */
export async function parent(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, { ...PHONE, locale: "en-US" });
  await tour.look(page, "start-phone");
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await shows(page, "drop-title", "Now choose");
  await page.click('#start-picker .tile[data-size="us-passport"]');
  await settled(page);
  seen.saveInView = await page.evaluate(() => document.getElementById("save-bar").getBoundingClientRect().bottom <= innerHeight + 1);
  seen.photoInView = await page.evaluate(() => document.getElementById("canvas").getBoundingClientRect().bottom <= innerHeight);
  seen.scrolled = await page.evaluate(() => scrollY);
  await tour.look(page, "result-phone");
  await page.locator("#sheet-options > summary").click();
  await page.waitForSelector("#paper option", { state: "attached" });
  seen.papers = await page.locator("#paper option").allTextContents();
  await page.selectOption("#paper", "6inch");
  await page.selectOption("#copies", "2");
  await page.waitForFunction(() => document.getElementById("sheet-preview").getAttribute("aria-label")?.startsWith("2 photos"));
  seen.jpeg = await tour.download(page, "#save-sheet", "sheet.jpg");
  await page.selectOption("#sheet-format", "pdf");
  seen.pdf = await tour.download(page, "#save-sheet", "sheet.pdf");
  await shows(page, "sheet-note", "photos on");
  seen.note = await page.textContent("#sheet-note");
  await page.setViewportSize({ width: 320, height: 640 });
  await drawn(page);
  await tour.look(page, "sheet-320");
}

/** One inch, blue, 20 to 50 KB, many photos at once, as a ZIP; Chinese, dark. */
export async function clerk(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, { ...DESKTOP, locale: "zh-CN", colorScheme: "dark" });
  await page.fill("#search-start", "295x413");
  await page.waitForFunction(() => document.querySelector("#start-picker .search-note").textContent.includes("像素"));
  seen.read = await page.textContent("#start-picker .search-note");
  seen.best = await page.locator('#found-start [aria-selected="true"]').textContent();
  await page.press("#search-start", "Escape");
  await page.waitForSelector("#found-start", { state: "hidden" });
  await tour.look(page, "start-dark");
  await page.click('#start-picker .tile[data-size="cn-1inch"]');
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
  const items = page.locator("#strip .strip-item:not(.strip-add)");
  await page.waitForFunction(() => [...document.querySelectorAll("#strip .strip-item:not(.strip-add)")].every((item) => ["met", "look", "not-met"].includes(item.dataset.verdict)));
  seen.verdicts = await items.evaluateAll((found) => found.map((item) => item.getAttribute("aria-label")));
  seen.english = await page.evaluate(() => [...document.querySelectorAll("#result *")].filter((element) => !element.children.length && element.checkVisibility() && /[A-Za-z]{4,}/.test(element.textContent)).map((element) => element.textContent).filter((text) => !/^[A-Z]{3,5}( ·|，|$)|cm|KB|dpi|JSON|curl/.test(text)));
  seen.englishNames = await page.evaluate(() => [...document.querySelectorAll("body *")].flatMap((element) => ["title", "aria-label", "placeholder", "alt"].map((name) => element.getAttribute(name) ?? "")).filter((text) => /[A-Za-z]{4,}/.test(text) && !/[\u4e00-\u9fff]/.test(text)));
  await tour.look(page, "several-dark");
  seen.notApplicable = await page.locator('#rules li[data-status="not applicable"]').count();
}

/** The copied curl line answers; the JSON; the API page on a phone, in both languages. */
export async function developer(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP);
  await finish(page, tour.file("photo.jpg"), "us-visa");
  await page.locator("#details > summary").click();
  await page.waitForSelector("#curl pre");
  await page.waitForFunction(() => document.querySelectorAll("#details svg .point").length === 10);
  seen.labels = await page.evaluate(() => {
    const boxes = [...document.querySelectorAll("#details svg text")].map((text) => text.getBoundingClientRect());
    return boxes.flatMap((one, index) => boxes.slice(index + 1).filter((other) => one.left < other.right && other.left < one.right && one.top < other.bottom - 1 && other.top < one.bottom - 1)).length;
  });
  await page.locator("#curl button").click();
  await page.waitForFunction(() => document.querySelector("#curl button").textContent === "Copied");
  seen.curl = await page.evaluate(() => navigator.clipboard.readText());
  execFileSync("bash", ["-c", seen.curl.replace("selfie.jpg", "photo.jpg").replace("-o photo.jpg", "-s -o by-curl.jpg")], { cwd: tour.folder });
  await page.locator("#python button").click();
  await page.waitForFunction(() => document.querySelector("#python button").textContent === "Copied");
  const lines = await page.evaluate(() => navigator.clipboard.readText());
  seen.python = execFileSync(tour.python, ["-c", lines.replace("selfie.jpg", "photo.jpg")], { cwd: tour.folder, env: { ...process.env, PYTHONPATH: tour.root } }).toString();
  seen.facts = await page.textContent("#details dl");
  await tour.look(page, "developer");
  for (const locale of ["en-US", "zh-CN"]) {
    const docs = await tour.visit(`${tour.open}/docs`, { ...PHONE, locale });
    seen[`docs-${locale}`] = { title: await docs.textContent("#title"), example: await docs.textContent("#example"), operations: await docs.locator(".operation h2 code").allTextContents(), said: await docs.locator(".operation > p:not(.hint), .operation td:nth-child(3)").allTextContents() };
    await tour.look(docs, `docs-${locale}`);
  }
}
