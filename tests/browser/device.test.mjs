// A device that is too slow for the picture, for real: the threads that decode get next to no processor time.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import { launch } from "./browser.mjs";
import { skipped, threads, tree, withPid } from "./process-tree.mjs";
import { programs, startPublisher, startServer } from "./processes.mjs";

/** Chromium decodes in its pool; network, sound and the page itself have threads of their own. */
const POOL = /^ThreadPoolPrese/;
const BUSY = 4;

/** Everything that decodes is to run on one processor, when nobody else wants it, and others want it all the time. */
function starve(pid) {
  const [processors] = /(?<=Cpus_allowed_list:\s*)\S+/.exec(readFileSync("/proc/self/status", "utf8"));
  const last = processors.split(/[,-]/).at(-1);
  const renderer = tree(pid).find((one) => threads(one).some(({ name }) => name.startsWith("WebRTC")));
  const pool = () => threads(renderer).filter(({ name }) => POOL.test(name));
  const each = (program, ...args) => pool().forEach(({ id }) => spawnSync(program, [...args, id]));
  const hold = () => {
    each("chrt", "--idle", "--pid", "0");
    each("taskset", "--cpu-list", "--pid", last);
  };
  try {
    // Where each session has a share of its own, the browser's is not to be a large one.
    writeFileSync(`/proc/${pid}/autogroup`, "19");
  } catch {
    // This kernel does not share by session.
  }
  hold();
  const busy = Array.from({ length: BUSY }, () =>
    spawn("taskset", ["--cpu-list", last, "timeout", "60", "sh", "-c", "while :; do :; done"], { detached: true, stdio: "ignore" }),
  );
  // The pool grows.
  const timer = setInterval(hold, 500);
  let over = false;
  return () => {
    if (over) return;
    over = true;
    clearInterval(timer);
    busy.forEach((one) => one.kill());
    each("taskset", "--cpu-list", "--pid", processors);
    each("chrt", "--other", "--pid", "0");
  };
}

describe("a device that is too slow", { skip: skipped, timeout: 120_000 }, () => {
  let browser;
  let pid;
  let server;
  let publisher;
  before(async () => {
    const paths = programs();
    server = await startServer(paths.server, ["den"]);
    publisher = await startPublisher(paths.publisher, server, "den", { width: 640, height: 360, bitrate: 600, interleave: true });
    [browser, pid] = await withPid(launch);
  });
  after(async () => {
    await browser?.close();
    await publisher?.stop();
    await server?.stop();
  });

  /** Every state that the page has been in, in their order. */
  const listen = () => {
    window.states = [];
    new MutationObserver(() => {
      const state = document.querySelector("section[data-state]")?.dataset.state;
      if (state && window.states.at(-1) !== state) window.states.push(state);
    }).observe(document, { subtree: true, childList: true, attributes: true });
  };

  test("is told that it cannot keep up, for as long as it cannot, and the picture comes back by itself", async (t) => {
    const page = await browser.newPage({ locale: "en" });
    await page.addInitScript(listen);
    await page.goto(`${server.url}/c/den`);
    const state = (kind) => page.locator(`section[data-state=${kind}]`).waitFor({ timeout: 20_000 });
    const pictures = () => page.evaluate(() => window.heliograph.session.playback.video);
    await state("live");
    await page.waitForFunction(() => window.heliograph.session.playback?.video?.framesDecoded > 60);

    const feed = starve(pid);
    t.after(feed);
    await state("stalled");
    await page.getByText("This device cannot keep up").waitFor({ timeout: 5_000 });
    const before = await pictures();
    await page.waitForTimeout(3_000);
    const crawled = await pictures();
    const [came, shown] = ["framesReceived", "framesDecoded"].map((count) => crawled[count] - before[count]);
    console.log(`a slow device: ${shown} of ${came} pictures in three seconds`);
    assert.ok(came > 40, `only ${came} pictures came`);
    feed();
    await state("live");
    const again = await pictures();
    await page.waitForFunction((count) => window.heliograph.session.playback.video.framesDecoded > count + 30, again.framesDecoded);
    const states = await page.evaluate(() => window.states);
    assert.deepEqual(states.slice(states.indexOf("live")), ["live", "stalled", "live"]);
  });
});
