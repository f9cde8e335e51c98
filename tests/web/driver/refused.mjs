// The camera is asked for, and does not come.

import { onThePage } from "./browser.mjs";

await onThePage(async (page) => {
  await page.click("#camera");
  await page.waitForSelector("#notes li");
  return { after: await page.evaluate(() => document.body.dataset.shown) };
});
