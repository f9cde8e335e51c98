// What is dropped, chosen, broken, taken away and given back, one after the other on one page.

import { readFileSync } from "node:fs";
import { asked, choose, complaint, drop, onThePage, shown, snapshot } from "./browser.mjs";

const SAMPLE = "the photo of this page";

await onThePage(async (page) => {
  const status = (words) =>
    page.waitForFunction((wanted) => document.querySelector("#status").textContent.includes(wanted), words);
  const after = () => page.evaluate(() => document.body.dataset.shown);

  // A photo, dropped; the divider, drawn to a quarter of it.
  await drop(page, "dropped.png", "image/png", readFileSync(asked.photo));
  await shown(page, "dropped.png");
  await snapshot(page, "mask", asked.mask);
  await snapshot(page, "portrait", asked.portrait);
  await page.check("input[value=compare]");
  const { x, y, width, height } = await page.locator("#stage canvas").boundingBox();
  await page.mouse.move(x + 0.6 * width, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + 0.25 * width, y + height / 3);
  await page.mouse.up();
  await page.mouse.move(x + 0.8 * width, y + height / 2);
  await snapshot(page, "compare", asked.compared);

  // WebGL2 is lost, and comes back.
  await page.evaluate(() => {
    globalThis.extension = document.querySelector("#stage canvas").getContext("webgl2").getExtension("WEBGL_lose_context");
    globalThis.extension.loseContext();
  });
  await status("2D canvas");
  const lost = await page.locator("#notes li").textContent();
  await snapshot(page, "portrait", asked.without);
  await page.requestGC(); // a canvas that nobody holds would not come back
  await page.evaluate(() => globalThis.extension.restoreContext());
  await status("WebGL2");
  await snapshot(page, "portrait", asked.again);

  // A film, chosen.
  await choose(page, asked.film);
  await shown(page, asked.filmLabel);
  await status("frames a second");
  await snapshot(page, "mask", asked.filmMask);
  const mirrored = await page.evaluate(() => document.querySelector("#stage").classList.contains("mirrored"));

  // What cannot be opened leaves it there, with one sentence.
  const refused = {};
  for (const { name, type, path } of asked.refused) {
    await drop(page, name, type, readFileSync(path));
    refused[name] = [await complaint(page, name), await after(), await page.locator("#notes li").count()];
  }

  // A film of no known type that is damaged in the middle, and a camera that is taken away.
  await drop(page, asked.damagedLabel, "", readFileSync(asked.damaged));
  const damaged = await complaint(page, asked.damagedLabel);
  await shown(page, SAMPLE);
  await page.click("#camera");
  await shown(page, "camera");
  const complaints = await page.locator("#notes li").count();
  await page.context().clearPermissions();
  const gone = await complaint(page, "camera");
  await shown(page, SAMPLE);
  await page.check("input[value=portrait]");
  return { lost, mirrored, refused, damaged, complaints, gone };
});
