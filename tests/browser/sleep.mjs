// A computer that sleeps and wakes: none of a browser's processes runs meanwhile, and nobody tells them.
import assert from "node:assert/strict";

import { launch } from "./browser.mjs";
import { skipped, tree, withPid } from "./process-tree.mjs";
import { startProxy } from "./proxy.mjs";

/** The page takes a timer that is late by more than 15 s for a sleep, and looks at it every 5 s. */
const SLEEP_MS = 21_000;
/** What is said of a connection that has not outlived the sleep. */
const AWAKE = ["The connection broke off", "The picture was interrupted"];

/** All of a browser's processes stand still until the returned function is called. */
function stop(pid) {
  const stopped = tree(pid);
  const tell = (signal) => {
    for (const one of stopped) {
      try {
        process.kill(one, signal);
      } catch {
        // It has ended meanwhile.
      }
    }
  };
  tell("SIGSTOP");
  return () => tell("SIGCONT");
}

/** Notes whatever the page says, and returns when its connection began. */
function listen() {
  window.said = [];
  new MutationObserver(() => {
    window.said.push(document.querySelector("section[data-state] [role=status] p")?.textContent);
  }).observe(document, { subtree: true, childList: true, characterData: true });
  return window.heliograph.session.snapshot.timeline.signalingStartMs;
}

/**
 * Somebody watches the channel `den`, alone, and the computer falls asleep; its connection ends without its hearing of that.
 * What is returned wakes it, and sees the picture come back by itself. `open` opens a page in a browser.
 */
export async function fallAsleep(t, server, open) {
  if (skipped) return async () => {};
  const proxy = await startProxy(server.url);
  const [sleeper, pid] = await withPid(launch);
  let wake = () => {};
  t.after(async () => {
    wake();
    await sleeper.close();
    await proxy.stop();
  });
  const page = await open(`${proxy.url}/c/den`, sleeper);
  const live = () => page.locator('section[data-state="live"]').waitFor({ timeout: 15_000 });
  await live();
  const began = await page.evaluate(listen);
  wake = stop(pid);
  const asleepMs = Date.now();
  proxy.forget();
  return async () => {
    await new Promise((done) => setTimeout(done, Math.max(0, asleepMs + SLEEP_MS - Date.now())));
    const { viewers } = (await server.streams()).find(({ channel }) => channel === "den");
    assert.equal(viewers, 0, "the server has given the sleeper up");
    wake();
    const again = (began) => {
      const { snapshot, playback } = window.heliograph.session;
      return snapshot.timeline.signalingStartMs > began && playback?.video?.framesDecoded > 15;
    };
    await page.waitForFunction(again, began, { timeout: 20_000 });
    await live();
    const said = await page.evaluate(() => window.said);
    // The browser may find its way through the network dead before the page has waited for a sign of life.
    assert.ok(said.some((words) => AWAKE.includes(words)), said.join("; "));
  };
}
