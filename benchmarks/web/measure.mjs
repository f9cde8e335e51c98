// node measure.mjs JSON: masks of photos, the first mask of a camera, and frames a second of pages in turns.

import { chromium } from "playwright-core";

const asked = JSON.parse(process.argv[2]);
const RATE = /([\d.]+) frames a second, network ([\d.]+) ms.*picture ([\d.]+) ms/;

const browser = await chromium.launch({
  executablePath: asked.chromium,
  args: [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${asked.film}`,
  ],
});

async function opened(address) {
  const context = await browser.newContext({ permissions: ["camera"] });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  page.on("pageerror", (error) => console.error(`${error}`));
  await page.goto(address);
  return page;
}

const ready = (page) => page.waitForFunction(() => document.body.dataset.shown === "the photo of this page");

/** How long it takes on an empty cache, in milliseconds, and how many bytes. */
async function first() {
  const began = Date.now();
  const page = await opened(asked.ours);
  await ready(page);
  const loaded = Date.now() - began;
  const pressed = Date.now();
  await page.click("#camera");
  await page.waitForFunction(() => document.body.dataset.shown === "camera");
  const mask = Date.now() - pressed;
  const bytes = await page.evaluate(() =>
    performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0),
  );
  await page.context().close();
  return { loaded_ms: loaded, first_mask_ms: mask, bytes };
}

async function masks() {
  const page = await opened(asked.ours);
  await ready(page);
  await page.check("input[value=mask]");
  for (const [index, { photo, mask }] of asked.photos.entries()) {
    const label = `${index}.png`;
    await page.setInputFiles("#file", photo);
    await page.waitForFunction((wanted) => document.body.dataset.shown === wanted, label);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#snapshot")]);
    await download.saveAs(mask);
  }
  await page.context().close();
}

/** A page with its camera on for a while. */
async function turn({ address, ours }) {
  const page = await opened(address);
  if (ours) {
    await ready(page);
    await page.click("#camera");
  }
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("frames a second"));
  await page.waitForTimeout(1000 * asked.seconds);
  const status = await page.locator("#status").textContent();
  await page.context().close();
  const [, fps, network, drawing] = RATE.exec(status).map(Number);
  return { fps, network_ms: network, drawing_ms: drawing };
}

try {
  const found = { browser: browser.version(), first: [], turns: asked.pages.map(() => []) };
  await masks();
  for (let round = 0; round < asked.rounds; round++) {
    found.first.push(await first());
    for (const [index, page] of asked.pages.entries()) found.turns[index].push(await turn(page));
  }
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
