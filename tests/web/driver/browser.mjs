// A headless Chromium on the page, and everything that it complained of.

import { chromium } from "playwright-core";

const SECONDS = 1000;

/** Asked by `node SCENARIO.mjs JSON`: the words of the test. */
export const asked = JSON.parse(process.argv[2]);

/**
 * Open the page, do something on it, and print what came out as JSON.
 *
 * @param {(page: import("playwright-core").Page) => Promise<object>} scenario
 */
export async function onThePage(scenario) {
  const browser = await chromium.launch({
    executablePath: asked.chromium,
    // Names of other machines are not resolved: whatever the page wants of them fails.
    args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost", ...(asked.options ?? [])],
  });
  try {
    const context = await browser.newContext({ viewport: { width: 1000, height: 760 }, permissions: asked.permissions });
    const page = await context.newPage();
    page.setDefaultTimeout(120 * SECONDS);
    const [errors, requests] = [[], []];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(`${error}`));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(asked.address);
    await shown(page, "the photo of this page");
    const found = await scenario(page);
    if (asked.screenshot) await page.screenshot({ path: asked.screenshot });
    const notes = await page.locator("#notes li").allTextContents();
    const status = await page.locator("#status").textContent();
    console.log(JSON.stringify({ ...found, notes, status, errors, requests }));
  } finally {
    await browser.close();
  }
}

/** Wait until a source is on the stage. */
export async function shown(page, label) {
  await page.waitForFunction((wanted) => document.body.dataset.shown === wanted, label);
}

/** Choose a file as a person does. */
export async function choose(page, file) {
  await page.setInputFiles("#file", file);
}

/** Press the snapshot button in a view, and keep the file. */
export async function snapshot(page, view, path) {
  await page.check(`input[value=${view}]`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#snapshot")]);
  await download.saveAs(path);
}

/** Drop a file on the page as a person does. */
export async function drop(page, name, type, bytes) {
  const held = await page.evaluateHandle(
    ([called, kind, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], called, { type: kind }));
      return data;
    },
    [name, type, bytes.toString("base64")],
  );
  await page.dispatchEvent("#stage", "drop", { dataTransfer: held });
}

/** What the page says of a source, once it says something of the one of this name. */
export async function complaint(page, name) {
  return page.locator(`#notes li:has-text("${name}")`).textContent();
}
