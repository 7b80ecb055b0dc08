// The page's figure for the delay against the picture's own clock, while the way from the publisher to the server is slow: by the
// capture times that come with the pictures, and without them.
/* global window, RTCRtpReceiver */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { bounds } from "./bounds.mjs";
import { launch } from "./browser.mjs";
import { publishCamera } from "./camera.mjs";
import { median } from "./figures.mjs";
import { startLink } from "./link.mjs";
import { installProbe } from "./probe.mjs";
import { linkEmulator, programs, startPublisher, startServer } from "./processes.mjs";

const ONE_WAY_MS = 80;
const PICTURE = { width: 640, height: 360, fps: 30 };

describe("a slow way to the server", { timeout: 150_000 }, () => {
  let link;
  let server;
  let browser;
  let paths;
  before(async () => {
    paths = programs();
    link = await startLink(linkEmulator());
    if (!link) return;
    await link.set({ down: { delayMs: ONE_WAY_MS }, up: { delayMs: ONE_WAY_MS } });
    server = await startServer(paths.server, ["ftl", "rtmp", "srt", "camera"], link.server);
    browser = await launch(link.server.chromium());
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await link?.stop();
  });

  /** The same by capture times, and as where the browser knows none, over the other signaling. */
  const look = async (channel) => {
    const [byCaptureTime, byReports] = await Promise.all([lookOnce(channel, "whep", true), lookOnce(channel, "websocket", false)]);
    return { byCaptureTime, byReports };
  };
  /** What the page says and what the picture's clock says, in milliseconds, and the page's words. */
  const lookOnce = async (channel, signaling, captureTimes) => {
    const context = await browser.newContext({ locale: "en" });
    try {
      const page = await context.newPage();
      await page.addInitScript(installProbe);
      if (!captureTimes) await page.addInitScript(() => (RTCRtpReceiver.prototype.getSynchronizationSources = () => []));
      await page.goto(`${server.url}/c/${channel}?signaling=${signaling}`, { waitUntil: "domcontentloaded" });
      await page.locator('section[data-state="live"]').waitFor({ timeout: 20_000 });
      await page.keyboard.press("i");
      const panel = page.getByRole("region", { name: "Live figures" });
      await panel.getByText(/(Camera|Encoder) to server/).waitFor();
      await page.waitForTimeout(6_000);
      const shown = [];
      for (let times = 0; times < 3; times += 1) {
        shown.push(Number((await panel.locator("dd").first().textContent()).replace(/\D/g, "")));
        await page.waitForTimeout(1_000);
      }
      const frames = await page.evaluate(() => window.probe.frames.slice(-90));
      const stamped = frames.filter((frame) => frame.stamp);
      const truth = median(stamped.map((frame) => frame.wall - frame.stamp.wallMs));
      const onScreen = median(stamped.map((frame) => frame.due - frame.stamp.wallMs));
      const seen = await page.evaluate(() => window.heliograph.session.playback.seen);
      return { shown: median(shown), truth, onScreen, seen, words: await panel.innerText() };
    } finally {
      await context.close();
    }
  };
  const judge = (name, { byCaptureTime, byReports }, basis) => {
    assert.ok(byCaptureTime.seen, "no capture time has come with the pictures");
    assert.equal(byReports.seen, null);
    judgeOne(`${name} by capture times`, byCaptureTime, basis);
    judgeOne(`${name} by reports`, byReports, basis);
  };
  const judgeOne = (name, { shown, truth, onScreen, words }, basis) => {
    const way = /(?:Camera|Encoder) to server\n+(\S+) ms/.exec(words)?.[1];
    const missed = Math.abs(shown - truth) > bounds.delayFigureMs.goal ? "  <-- missed" : "";
    console.log(`${name}: the page says ${shown} ms (${way} ms to the server), the picture's clock ${truth} ms, ${Math.round(onScreen)} ms on the screen${missed}`);
    assert.ok(words.includes(basis), words);
    assert.ok(Number(way) >= ONE_WAY_MS * 0.9, `${way} ms to the server`);
    assert.ok(Math.abs(shown - truth) < bounds.delayFigureMs.nonsense, `${shown} ms shown, ${truth} ms true`);
  };

  for (const door of ["ftl", "rtmp", "srt"]) {
    test(`${door.toUpperCase()}: the network is in it, the encoder is not`, async (t) => {
      if (!link) return t.skip("no network namespaces");
      const publisher = await startPublisher(paths.publisher, server, door, { ...PICTURE, bitrate: 800, door, place: link.viewer });
      try {
        judge(door, await look(door), "half of the round trip, what has piled up");
      } finally {
        await publisher.stop();
      }
    });
  }

  test("WHIP from a browser: all of it, by the sender's clock", async (t) => {
    if (!link) return t.skip("no network namespaces");
    // A camera needs https or localhost; this browser is told to make an exception.
    const cameras = await launch(link.viewer.chromium(), [
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--unsafely-treat-insecure-origin-as-secure=${server.url}`,
    ]);
    try {
      const page = await cameras.newPage();
      await page.goto(`${server.url}/config.json`);
      await page.evaluate(publishCamera, { url: `${server.url}/whip/camera`, key: server.key("camera"), codec: "H264", ...PICTURE, maxBitrate: 800_000 });
      judge("whip", await look("camera"), "by the sender’s own clock");
    } finally {
      await cameras.close();
    }
  });
});
