// H.265, AV1 and several tracks over Enhanced RTMP: what browsers decode moves, the others are told.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { bounds } from "./bounds.mjs";
import { launch, visit } from "./browser.mjs";
import { publishEnhanced } from "./enhanced-rtmp.mjs";
import { longestGapSince, pickLayer } from "./layers.mjs";
import { programs, startServer } from "./processes.mjs";

describe("Enhanced RTMP", { timeout: 150_000 }, () => {
  let browser;
  let server;
  before(async () => {
    server = await startServer(programs().server, ["den"]);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    if (!server) return;
    const outcome = await server.stop();
    assert.equal(outcome.code, 0, `the server ended with ${JSON.stringify(outcome)}`);
  });

  const track = async (codec) => {
    for (let tries = 0; tries < 100; tries += 1) {
      const found = (await server.streams()).flatMap(({ tracks }) => tracks).find((one) => one.codec === codec && one.width);
      if (found) return found;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`no ${codec}: ${JSON.stringify(await server.streams())}`);
  };

  /** The card of the channel on the home page. */
  const card = async (wanted) => {
    const page = await browser.newPage();
    try {
      await page.goto(server.url);
      await page.locator(wanted).waitFor({ timeout: 10_000 });
    } finally {
      await page.close();
    }
  };

  test("AV1 moves in Chromium", async () => {
    const publisher = publishEnhanced(server.rtmpPort, server.key("den"), "libsvtav1", "libopus");
    try {
      const { width, height } = await track("av1");
      assert.deepEqual([width, height], [640, 360]);
      const seen = await visit(browser, `${server.url}/c/den`, { seconds: 4 });
      assert.ok(seen.frames.length > 50, `${seen.frames.length} pictures`);
      assert.deepEqual(seen.size, [640, 360]);
      const { framesDecoded, packetsLost, freezeCount } = seen.inbound.video;
      assert.ok(framesDecoded > 50 && packetsLost === 0, JSON.stringify({ framesDecoded, packetsLost, freezeCount }));
      await card("article[data-channel=den] canvas[data-drawn=true]");
      assert.equal(publisher.problem(), null);
    } finally {
      await publisher.stop();
    }
  });

  test("H.265 is passed on as what it is, also after AV1 on the same channel", async () => {
    const publisher = publishEnhanced(server.rtmpPort, server.key("den"), "libx265", "aac");
    try {
      const { width, height, keyframe_interval_ms: interval } = await track("h265");
      assert.deepEqual([width, height], [640, 360]);
      assert.ok(interval === null || interval > 500, `${interval}`);
      // Chromium decodes it in hardware only, so it depends on the machine which of both it is.
      await card("article[data-channel=den] canvas[data-drawn=true], article[data-channel=den] :text('does not show H.265')");
      assert.equal(publisher.problem(), null);
    } finally {
      await publisher.stop();
    }
  });

  test("tracks of several sizes are layers: the best one by itself, another by hand", async () => {
    const publisher = publishEnhanced(server.rtmpPort, server.key("den"), "libx264@320x180,libx264@640x360", "aac");
    try {
      await track("h264");
      const seen = await visit(browser, `${server.url}/c/den?signaling=websocket`, {
        seconds: 1,
        meanwhile: async (page) => {
          const width = (wanted) => page.waitForFunction((wanted) => window.probe.video.videoWidth === wanted, wanted, { timeout: 20_000 });
          await width(640);
          for (const [name, wanted] of [["180p", 320], ["360p", 640]]) {
            const from = await page.evaluate(() => performance.now());
            await pickLayer(page, name);
            await width(wanted);
            await page.waitForTimeout(500);
            const gap = await longestGapSince(page, from);
            console.log(`picked ${name}: the longest gap is ${Math.round(gap)} ms, goal ${bounds.layerGapMs.goal}`);
            assert.ok(gap < bounds.layerGapMs.nonsense, `${name}: a gap of ${gap} ms`);
          }
        },
      });
      assert.equal(seen.connections, 1, "peer connections");
      assert.equal(publisher.problem(), null);
    } finally {
      await publisher.stop();
    }
  });
});
