// The camera is started and runs for some frames.

import { asked, onThePage, shown, snapshot } from "./browser.mjs";

await onThePage(async (page) => {
  await page.click("#camera");
  await shown(page, "camera");
  await page.waitForFunction(() => / [1-9][0-9.]* frames a second/.test(document.querySelector("#status").textContent));
  await snapshot(page, "mask", asked.mask);
  await page.check("input[value=portrait]");
  return { mirrored: await page.evaluate(() => document.querySelector("#stage").classList.contains("mirrored")) };
});
