// node picture.mjs JSON: the page with its photo, before and after side by side, down to the controls.

import { chromium } from "playwright-core";

const asked = JSON.parse(process.argv[2]);
const browser = await chromium.launch({ executablePath: asked.chromium, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 880, height: 600 } });
  await page.goto(asked.address);
  await page.waitForFunction(() => document.body.dataset.shown === "the photo of this page");
  await page.fill("#aperture", "22");
  await page.check("input[value=compare]");
  const { width } = page.viewportSize();
  const controls = await page.locator("#controls").boundingBox();
  // What is below says how long everything took, and is another each time.
  await page.screenshot({ path: asked.picture, clip: { x: 0, y: 0, width, height: controls.y + controls.height + 16 } });
} finally {
  await browser.close();
}
