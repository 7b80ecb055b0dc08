// The system's Chromium, driven by playwright-core.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

import { collect, installProbe } from "./probe.mjs";

const CANDIDATES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

export function chromiumPath() {
  const path = process.env.CHROMIUM ?? CANDIDATES.find((path) => existsSync(path));
  if (!path) throw new Error("no Chromium found (apt-get install chromium, or set CHROMIUM)");
  return path;
}

/** `flags`: more of them, for this browser. */
export async function launch(executablePath = chromiumPath(), flags = []) {
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({
    executablePath,
    args: [
      ...sandbox,
      "--autoplay-policy=no-user-gesture-required",
      // Nobody looks at these pages, and they are not to be slowed down for that.
      "--disable-background-timer-throttling",
      "--disable-renderer-backgrounding",
      "--disable-backgrounding-occluded-windows",
      "--disable-dev-shm-usage",
      ...flags,
    ],
  });
}

/** Opens a page of its own at the moment that `when` waits for, lets it play, and returns what it saw. */
export async function visit(browser, url, { seconds, when = async () => {}, meanwhile = async () => {} }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  try {
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.addInitScript(installProbe);
    await when();
    await page.goto(url, { waitUntil: "commit" });
    await page.waitForFunction(() => window.probe?.frames.length > 0, null, { timeout: 20_000, polling: 50 });
    await meanwhile(page);
    await page.waitForTimeout(seconds * 1000);
    const seen = await page.evaluate(collect);
    if (errors.length > 0) throw new Error(`the page failed: ${errors.join("; ")}`);
    return seen;
  } finally {
    await context.close();
  }
}
