import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { bounds } from "./bounds.mjs";
import { chromiumPath, launch, visit } from "./browser.mjs";
import { publishCamera } from "./camera.mjs";
import { printColumns } from "./figures.mjs";
import { longestGapSince, pickLayer } from "./layers.mjs";
import { startLink } from "./link.mjs";
import { here, linkEmulator, programs, startServer } from "./processes.mjs";

/** The smallest picture of which Chromium encodes three layers. */
const PICTURE = { width: 960, height: 540, fps: 15 };
const LAYERS = [
  { rid: "h", maxBitrate: 1_000_000 },
  { rid: "m", scaleResolutionDownBy: 2, maxBitrate: 250_000 },
  { rid: "l", scaleResolutionDownBy: 4, maxBitrate: 100_000 },
];
/** Carries the layer in the middle and not the largest one. */
const NARROW = { down: { rateKbit: 500 }, up: {} };
const FREE = { down: {}, up: {} };

describe("a browser publishes three layers and another watches", { timeout: 200_000 }, () => {
  let link;
  let server;
  let cameras;
  let browser;
  before(async () => {
    link = await startLink(linkEmulator());
    server = await startServer(programs().server, ["layers"], link?.server ?? here);
    // Cameras belong to secure pages, and this server has no certificate.
    const trusted = `--unsafely-treat-insecure-origin-as-secure=${server.url}`;
    cameras = await launch(link?.server.chromium() ?? chromiumPath(), [
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      trusted,
    ]);
    browser = await launch(link?.viewer.chromium() ?? chromiumPath());
  });
  after(async () => {
    await browser?.close();
    await cameras?.close();
    await server?.stop();
    await link?.stop();
  });

  for (const codec of ["VP8", "H264"]) {
    test(`${codec}: the viewer picks a layer, or the server does`, async () => {
      const context = await cameras.newContext();
      const publisher = await context.newPage();
      await publisher.goto(`${server.url}/config.json`);
      await publisher.evaluate(publishCamera, {
        url: `${server.url}/whip/layers`,
        key: server.key("layers"),
        codec,
        layers: LAYERS,
        ...PICTURE,
      });
      const listed = await eventually(20, "three layers with pictures", async () => {
        const [stream] = await server.streams();
        const layers = stream?.layers ?? [];
        return layers.length === 3 && layers.every(({ fps, bitrate_bps: bitrate }) => fps > 5 && bitrate > 10_000) && layers;
      });
      // Encoders round the height of the smallest.
      assert.deepEqual(listed.map(({ rid, width }) => `${rid} ${width}`), ["h 960", "m 480", "l 240"]);

      const rows = [];
      const seen = await visit(browser, `${server.url}/c/layers?signaling=websocket`, {
        seconds: 0,
        meanwhile: async (page) => {
          const width = (wanted, seconds, what) =>
            eventually(seconds, what, () => page.evaluate((wanted) => window.probe.video.videoWidth === wanted, wanted));
          /** The longest time without a picture from `act` until a while after the picture has the size. */
          const watched = async (name, wanted, seconds, act) => {
            const from = await page.evaluate(() => performance.now());
            await act();
            await width(wanted, seconds, name);
            const at = await page.evaluate(() => performance.now());
            await page.waitForTimeout(1_000);
            rows.push({ name: `${codec}: ${name}`, tookMs: at - from, gapMs: await longestGapSince(page, from) });
          };
          const pick = (name) => pickLayer(page, name);
          await width(PICTURE.width, 15, "the best layer by itself");
          await watched("picked the lowest", PICTURE.width / 4, 10, () => pick(/13[45]p/));
          await watched("picked the highest", PICTURE.width, 10, () => pick("540p"));
          if (codec !== "VP8") return;
          await watched("picked the middle", PICTURE.width / 2, 10, () => pick("270p"));
          await watched("automatic again", PICTURE.width, 10, () => pick(/Auto/));
          if (!link) return;
          await watched("a narrow line", PICTURE.width / 2, 20, () => link.set(NARROW));
          await watched("a wide line again", PICTURE.width, 40, () => link.set(FREE));
        },
      });
      printColumns("layers; times in ms", [
        ["what", (row) => row.name],
        ["until the size changed", (row) => `${Math.round(row.tookMs)}`],
        ["longest gap", (row) => `${Math.round(row.gapMs)}`],
      ], rows);
      for (const { name, gapMs } of rows) {
        if (gapMs > bounds.layerGapMs.goal) console.log(`${name}: a gap of ${Math.round(gapMs)} ms, goal ${bounds.layerGapMs.goal}`);
        // A narrow line stands still until its queue has drained, whoever is asked to send less.
        if (!name.includes("narrow")) assert.ok(gapMs < bounds.layerGapMs.nonsense, `${name}: a gap of ${gapMs} ms`);
      }
      assert.equal(seen.connections, 1, "peer connections");
      assert.equal(await publisher.evaluate(() => window.publishing.stop()), 200);
      await context.close();
    });
  }
});

/** What `look` returns once it is something; fails after so many seconds. */
async function eventually(seconds, what, look) {
  for (const limit = Date.now() + seconds * 1000; ; ) {
    const found = await look();
    if (found) return found;
    if (Date.now() > limit) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
