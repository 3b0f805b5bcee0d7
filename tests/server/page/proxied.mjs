// The page under a path of a proxy.
import { DESKTOP, finish, finished } from "./tour.mjs";

/** Signs in, finishes one photo, goes home, to the API's page and back. */
export async function underPath(tour) {
  const { seen } = tour;
  Object.assign(seen, { paths: [], bad: [] });
  const page = await tour.visit(tour.url, DESKTOP, (page) => page.on("response", (answer) => {
    if (answer.url().startsWith("http")) (answer.status() < 400 ? seen.paths : seen.bad).push(new URL(answer.url()).pathname);
  }));
  await page.fill("#api-key", tour.apiKey);
  await page.fill("#secret-key", tour.secretKey);
  await page.click("#login-form button");
  await page.waitForSelector("#start:not([hidden])");
  await finish(page, tour.file("proxied.jpg"), "us-passport");
  await finished(page);
  const at = () => new URL(page.url()).pathname;
  await page.click("#home");
  await page.waitForSelector("#start:not([hidden])");
  seen.home = await page.evaluate(() => location.pathname);
  await page.click('.top-actions a[data-t="docs"]');
  await page.waitForSelector("#example");
  await page.waitForFunction(() => document.documentElement.dataset.ready && document.getElementById("example").textContent);
  seen.docs = at();
  seen.example = await page.textContent("#example");
  await page.click("a.brand");
  await page.waitForSelector("#login:not([hidden])");
  seen.back = at();
}
