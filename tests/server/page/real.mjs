// With the real models: how long the page takes, and a clerk's batch of real portraits.
import { readFileSync } from "node:fs";
import { DESKTOP, settled } from "./tour.mjs";

export async function real(tour) {
  const { seen } = tour;
  const page = await tour.visit(tour.open, { ...DESKTOP, locale: "zh-CN" });
  page.setDefaultTimeout(200_000);
  await page.click('#start-picker .tile[data-size="cn-1inch"]');
  seen.finishedMs = [];
  for (let round = 0; round < 3; round++) {
    await page.evaluate(() => document.getElementById("file").addEventListener("change", () => {
      const begun = performance.now();
      window.finished = new Promise((resolve) => {
        const look = () => (document.documentElement.dataset.state === "done" ? resolve(performance.now() - begun) : setTimeout(look, 5));
        setTimeout(look, 5);
      });
    }, { capture: true, once: true }));
    await page.setInputFiles("#file", tour.large);
    seen.finishedMs.push(Math.round(await page.evaluate(() => window.finished)));
    if (round < 2) {
      await page.click("#home");
      await page.waitForSelector("#start:not([hidden])");
    }
  }
  seen.backgroundMs = [];
  for (const [value, red] of [["#438edb", 67], ["#d9001b", 217], ["#ffffff", 255]]) {
    seen.backgroundMs.push(await page.evaluate(async ([value, red]) => {
      const canvas = document.getElementById("canvas"), begun = performance.now();
      document.querySelector(`#backgrounds input[value="${value}"]`).click();
      while (canvas.getContext("2d").getImageData(3, 3, 1, 1).data[0] !== red) await new Promise(requestAnimationFrame);
      return Math.round(performance.now() - begun);
    }, [value, red]));
    await settled(page);
  }
  await page.click("#home");
  await page.waitForSelector("#start:not([hidden])");
  await page.setInputFiles("#file", JSON.parse(readFileSync(tour.photos, "utf8")));
  await page.locator('#backgrounds input[value="#438edb"]').check();
  await page.locator("#file-options > summary").click();
  await page.fill("#kb-least", "20");
  await page.fill("#kb-most", "50");
  await page.locator("#kb-most").blur();
  await settled(page);
  await page.waitForSelector("#save-all:not([disabled])");
  await tour.download(page, "#save-all", "real.zip");
}
