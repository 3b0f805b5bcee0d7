// By hand: move, zoom, turn, flip, reset; the rules answer; a background at once; a size without the photo; Back, reload, with the server away.
import { DESKTOP, calls, drawn, finished, painted, pixel, refused } from "./tour.mjs";

const live = (page, rule, state) => page.waitForSelector(`#live [data-rule="${rule}"].${state}`).then((found) => found.textContent());

export async function hand(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP);
  const made = calls(page);
  await page.focus("#file-open");
  const chooser = page.waitForEvent("filechooser");
  await drawn(page); // the browser is told to hand the chooser over without an answer that one could wait for
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(tour.file("photo.jpg"));
  await page.focus('#start-picker .tile[data-size="us-visa"]');
  await page.keyboard.press("Enter");
  await finished(page);
  seen.focused = await page.evaluate(() => [document.activeElement.id, scrollY]);
  seen.sentOnce = made.filter(([path]) => path === "/v1/photos").length;
  await adjust(tour, page);
  await ownColour(tour, page);
  await documents(tour, page, made);
  await page.click("#original");
  await page.waitForSelector('#original[aria-pressed="true"]');
  seen.originalPixel = await pixel(page, 0.02, 0.02);
  await page.click("#original");
  await page.goBack();
  await page.waitForSelector("#start:not([hidden])");
  await page.goForward();
  await page.waitForSelector("#result:not([hidden])");
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  await finished(page);
  seen.afterReload = await page.textContent("#result-title");
  await offline(tour, page);
}

async function adjust(tour, page) {
  const { seen } = tour;
  seen.eyesFirst = await live(page, "eyes", "ok");
  await page.focus("#frame");
  for (let step = 0; step < 40; step++) await page.keyboard.press("ArrowDown");
  seen.eyesMoved = await live(page, "eyes", "bad");
  await page.keyboard.press("0");
  seen.eyesReset = await live(page, "eyes", "ok");
  const box = await page.locator("#frame").boundingBox();
  await page.mouse.move(box.x + 100, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 130, box.y + 100, { steps: 3 });
  await page.mouse.up();
  await page.mouse.wheel(0, -150);
  await page.waitForFunction(() => document.getElementById("zoom-value").textContent !== "100 %");
  await page.click("#flip");
  await finished(page);
  await tour.look(page, "adjust");
  const answer = page.waitForResponse((one) => one.url().includes("turn=2.5"));
  await page.fill("#turn", "2.5");
  seen.asked = new URL((await answer).url()).search;
  await page.click("#reset");
  await page.waitForFunction(() => document.getElementById("turn-value").textContent === "0°");
  await finished(page);
  seen.zoomText = await page.getAttribute("#zoom", "aria-valuetext");
  seen.paintMs = await page.evaluate(async () => {
    const canvas = document.getElementById("canvas"), input = document.querySelector('#backgrounds input[value="#438edb"]');
    const begun = performance.now();
    input.click();
    while (canvas.getContext("2d").getImageData(3, 3, 1, 1).data[0] !== 67) await new Promise(requestAnimationFrame);
    return performance.now() - begun;
  });
  await finished(page);
}

/** The own colour has a ring as all others, and is drawn at once. */
async function ownColour(tour, page) {
  await page.locator('#backgrounds input[value="own"]').check();
  await page.evaluate(() => {
    const picker = document.querySelector('#backgrounds input[type="color"]');
    picker.value = "#123456";
    picker.dispatchEvent(new Event("input"));
  });
  await page.waitForFunction(() => [...document.getElementById("canvas").getContext("2d").getImageData(3, 3, 1, 1).data].join() === "18,52,86,255");
  tour.seen.ring = await page.evaluate(() => {
    const label = document.querySelector("#backgrounds input:checked").closest("label");
    return [label.querySelector("input").value, getComputedStyle(label, "::after").borderTopColor, getComputedStyle(document.querySelector("#backgrounds .swatch:not(:has(:checked))"), "::after").borderTopColor];
  });
  await finished(page);
}

async function documents(tour, page, made) {
  const { seen } = tour;
  made.length = 0;
  await page.click("#change-document");
  const search = page.locator("#search-dialog"), marked = page.locator('#found-dialog [aria-selected="true"]');
  await search.fill("Japan");
  await page.waitForSelector("#found-dialog [role=option]");
  seen.firstOption = await marked.textContent();
  await tour.look(page, "dialog");
  await search.press("ArrowDown");
  await page.waitForSelector('#found-dialog [role=option]:nth-child(2)[aria-selected="true"]');
  seen.secondOption = await marked.textContent();
  seen.stillChosen = await page.locator("#dialog-picker .picked").textContent();
  await search.press("Enter");
  await finished(page);
  seen.picked = await page.textContent("#result-title");
  seen.bytesForSize = made.reduce((sum, [, bytes]) => sum + bytes, 0);
}

async function offline(tour, page) {
  const { seen } = tour;
  await page.context().setOffline(true);
  await page.locator('#backgrounds input[value="#d9001b"]').check();
  await painted(page, "#d9001b");
  await refused(page);
  seen.offline = await page.textContent("#problem-title");
  await page.waitForSelector("#canvas"); // the last good result stays
  await page.context().setOffline(false);
  await page.locator("#problem-actions button").first().click();
  await finished(page);
}
