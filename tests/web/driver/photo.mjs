// A photo is opened; its mask and its portrait are saved; then a file that is none, which leaves them as they are.

import { asked, choose, onThePage, shown, snapshot } from "./browser.mjs";

await onThePage(async (page) => {
  await choose(page, asked.photo);
  await shown(page, asked.label);
  await snapshot(page, "mask", asked.mask);
  await snapshot(page, "portrait", asked.portrait);
  const loaded = await page.evaluate(() =>
    performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0),
  );
  await choose(page, { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#notes li:has-text('notes.txt')");
  await snapshot(page, "compare", asked.compared);
  const [after, cores] = await page.evaluate(() => [document.body.dataset.shown, navigator.hardwareConcurrency]);
  return { loaded, after, cores };
});
