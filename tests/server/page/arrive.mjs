// How photos come in: pasted, from a camera, over a connection that dies halfway.
import { createServer, connect } from "node:net";
import { DESKTOP, finished, refused, settled, until } from "./tour.mjs";

const HALF = 70_000; // bytes of the photo that is cut

/** A picture of the clipboard; then text in the search, which is no photo. */
export async function paste(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP);
  await page.bringToFront();
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(320, 400), context = canvas.getContext("2d");
    context.fillStyle = "#5a7896";
    context.fillRect(0, 0, 320, 400);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
  });
  await page.keyboard.press("Control+V");
  await page.waitForSelector("#drop-thumb:not([hidden])");
  await page.evaluate(() => navigator.clipboard.writeText("us visa"));
  await page.focus("#search-start");
  await page.keyboard.press("Control+V");
  await page.click('#found-start [data-size="us-visa"]');
  await finished(page);
  seen.photos = await page.evaluate(() => JSON.parse(sessionStorage.getItem("idseg-photos")).items.map(({ name }) => name));
}

/** Two cameras: the other one, the countdown, a countdown that is cancelled, and a photo. */
export async function camera(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, DESKTOP);
  const device = () => page.evaluate(() => document.getElementById("video").srcObject?.getVideoTracks()[0].getSettings().deviceId);
  await page.click("#camera-open");
  await page.waitForSelector("#camera[open]");
  const first = await device();
  await page.click("#camera-switch");
  await page.waitForFunction((first) => document.getElementById("video").srcObject.getVideoTracks()[0].getSettings().deviceId !== first, first);
  await page.click("#camera-switch"); // once it can be pressed again
  await page.waitForFunction((first) => document.getElementById("video").srcObject.getVideoTracks()[0].getSettings().deviceId === first, first);
  await page.waitForSelector("#camera-shoot:not([disabled])");
  await tour.look(page, "camera");
  await page.evaluate(() => {
    window.counted = [];
    new MutationObserver(() => window.counted.push(document.getElementById("countdown").textContent)).observe(document.getElementById("countdown"), { childList: true });
  });
  await page.click("#camera-shoot");
  await page.waitForFunction(() => window.counted.includes("3"));
  await page.click("#camera-close");
  await page.waitForSelector("#camera", { state: "hidden" });
  await page.click("#camera-open");
  await page.waitForSelector("#camera[open]");
  await page.waitForFunction(() => window.counted.at(-1) === ""); // the count of before is over
  await page.evaluate(() => (window.counted.length = 0));
  await page.click("#camera-shoot");
  await page.waitForSelector("#drop-thumb:not([hidden])");
  await page.waitForSelector("#camera", { state: "hidden" });
  seen.counted = await page.evaluate(() => window.counted);
  seen.open = await page.evaluate(() => document.getElementById("video").srcObject);
  await page.click("#camera-open");
  await page.waitForSelector("#camera[open]");
  await page.click("#camera-timer");
  await page.click("#camera-shoot");
  await page.waitForSelector("#camera", { state: "hidden" });
  await page.click('#start-picker .tile[data-size="us-visa"]');
  await settled(page); // the camera shows nobody; it has sent a photo of its own size
  seen.photos = await until(page, () => JSON.parse(sessionStorage.getItem("idseg-photos"))?.items.map(({ name }) => name));
}

/** A connection that dies with half of the photo sent: it is kept, and "Try again" sends it. Then one that dies with half of the answer. */
export async function cut(tour) {
  const { seen } = tour;
  const proxy = await dying(new URL(tour.open).port);
  const page = await tour.visit(proxy.url, DESKTOP);
  await page.click('#start-picker .tile[data-size="us-visa"]');
  proxy.most = { up: HALF, down: Infinity };
  await page.setInputFiles("#file", tour.file("photo.jpg"));
  await refused(page);
  seen.upload = { title: await page.textContent("#problem-title"), cuts: proxy.cuts };
  await page.waitForSelector("#stage-photo"); // the photo is kept
  await page.waitForSelector("#busy", { state: "hidden" });
  proxy.most = { up: Infinity, down: Infinity };
  await page.locator("#problem-actions button").first().click();
  await finished(page);
  proxy.most = { up: Infinity, down: 20_000 };
  await page.locator('#backgrounds input[value="#d9001b"]').check();
  await refused(page);
  seen.answer = { title: await page.textContent("#problem-title"), cuts: proxy.cuts };
  await page.waitForSelector("#canvas"); // the last good result stays
  proxy.most = { up: Infinity, down: Infinity };
  await page.locator("#problem-actions button").first().click();
  await finished(page);
  proxy.close();
}

/** A proxy to a port of the loopback that passes `most.up` bytes from the browser or `most.down` bytes to it, then resets the connection; counted from one request to the next. */
async function dying(port) {
  const found = { most: { up: Infinity, down: Infinity }, cuts: 0 }, sockets = new Set();
  const server = createServer((browser) => {
    const behind = connect(port, "127.0.0.1"), passed = { up: 0, down: 0 };
    const end = () => [browser, behind].forEach((socket) => socket.destroy());
    const pass = (from, to, way) => from.on("data", (bytes) => {
      if (way === "up" && /^(GET|POST|DELETE) /.test(bytes.toString("latin1", 0, 7))) Object.assign(passed, { up: 0, down: 0 });
      const room = found.most[way] - passed[way];
      if (bytes.length > room) {
        from.pause();
        return to.write(bytes.subarray(0, Math.max(0, room)), () => {
          found.cuts++;
          browser.resetAndDestroy();
          behind.destroy();
        });
      }
      passed[way] += bytes.length;
      if (!to.write(bytes)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    });
    pass(browser, behind, "up");
    pass(behind, browser, "down");
    for (const socket of [browser, behind]) {
      sockets.add(socket);
      socket.on("error", end).on("close", end);
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  found.url = `http://127.0.0.1:${server.address().port}`;
  found.close = () => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  };
  return found;
}
