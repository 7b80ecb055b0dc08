// What the streamer's desk tells, each thing brought about for real: loudness, delays, warnings, viewers without the codec.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch } from "./browser.mjs";
import { publishCamera } from "./camera.mjs";
import { startOutside } from "./outside.mjs";
import { programs, startPublisher, startServer } from "./processes.mjs";

const SHOTS = join(dirname(fileURLToPath(import.meta.url)), "screenshots");
/** A keyframe every five seconds, which is too seldom. */
const SELDOM = { width: 320, height: 180, bitrate: 300, fps: 30, keyint: 150 };
/** Nobody sends so little. */
const LIMIT = ["--max-bitrate-kbps", "50", "--max-bitrate-patience-s", "600"];
const CAMERA = { width: 320, height: 180, fps: 15, maxBitrate: 300_000 };

describe("what the desk tells", { timeout: 180_000 }, () => {
  let browser;
  let cameras;
  let server;
  let publisher;
  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    const paths = programs();
    server = await startServer(paths.server, ["seldom", "camera", "outside"], undefined, ["--srt-passphrase", "ten-letters-or-more", ...LIMIT]);
    [publisher, browser, cameras] = await Promise.all([
      startPublisher(paths.publisher, server, "seldom", SELDOM),
      launch(),
      launch(undefined, ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]),
    ]);
  });
  after(async () => {
    await browser?.close();
    await cameras?.close();
    await publisher?.stop();
    await server?.stop();
  });

  const open = async (t, path, init) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en" });
    t.after(() => context.close());
    const page = await context.newPage();
    if (init) await page.addInitScript(init);
    await page.goto(server.url + path, { waitUntil: "domcontentloaded" });
    return page;
  };
  const desk = async (t, channel) => {
    const page = await open(t, "/studio");
    await page.getByLabel("Stream key").fill(server.key(channel));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("You are on the air.").waitFor({ timeout: 15_000 });
    return page;
  };
  const says = (page, text, timeout = 20_000) => page.getByText(text).first().waitFor({ timeout });
  const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });

  test("keyframes too far apart, too high a bitrate, how loud it is, how late viewers are, and the way in over SRT", async (t) => {
    const viewer = await open(t, "/c/seldom");
    await viewer.locator('section[data-state="live"]').waitFor({ timeout: 15_000 });
    const page = await desk(t, "seldom");
    // The pattern's tone, with a beep each second.
    await says(page, /Peak −\d+\sdB/);
    const level = Number(await page.getByRole("meter", { name: "Loudness" }).getAttribute("aria-valuenow"));
    assert.ok(level > -36 && level < 0, `${level} dB`);
    await page.locator('[data-warning="keyframe_interval"]').waitFor({ timeout: 20_000 });
    await says(page, "Keyframes are more than 4 s apart");
    const stream = (await server.streams()).find(({ channel }) => channel === "seldom");
    assert.deepEqual(stream.warnings.map(({ code }) => code), ["bitrate_limit", "keyframe_interval"]);
    await says(page, /^\d+\skbit\/s arrive; 50\skbit\/s are allowed\.$/);
    for (const line of [/Keyframes come only every 5 seconds/g, /more than this channel may \(50 kbit\/s\)[^\n]*"seldom"/g]) {
      assert.equal(server.log().match(line)?.length, 1, `the log has it once: ${line}`);
    }
    const jitter = await page.locator("dt", { hasText: "jitter" }).locator("+ dd").innerText();
    assert.match(jitter, /^\d+(\.\d)? ms$/);

    await says(page, /half within \d+ ms, 95 % within \d+ ms/);
    await says(page, /as the pages of 1 of 1 tell/);
    await page.locator('[data-way="srt"] summary').click();
    await says(page, new RegExp(`^srt://127\\.0\\.0\\.1:${server.srtPort}$`));
    await shot(page, "studio-warning");
    await page.getByRole("button", { name: "Mute the channel" }).click();
    await says(page, "Muted: viewers hear nothing");
  });

  test("viewers whose browsers do not take AV1 are told, and so is the streamer who sends it", async (t) => {
    const context = await cameras.newContext();
    t.after(() => context.close());
    const camera = await context.newPage();
    await camera.goto(`${server.url}/config.json`);
    await camera.evaluate(publishCamera, { url: `${server.url}/whip/camera`, key: server.key("camera"), codec: "AV1", ...CAMERA });
    const page = await desk(t, "camera");
    await says(page, "AV1");

    /** A browser that has not learnt these codecs: what it says of itself, and its descriptions. */
    const without = (unknown) => `const all = RTCRtpReceiver.getCapabilities;
    RTCRtpReceiver.getCapabilities = (kind) => {
      const { codecs, ...others } = all(kind);
      return { codecs: codecs.filter(({ mimeType }) => !${unknown}.test(mimeType)), ...others };
    };
    for (const describe of ["createAnswer", "createOffer"]) {
      const original = RTCPeerConnection.prototype[describe];
      RTCPeerConnection.prototype[describe] = function () {
        for (const transceiver of this.getTransceivers()) {
          const { codecs } = RTCRtpReceiver.getCapabilities(transceiver.receiver.track.kind);
          transceiver.setCodecPreferences(codecs);
        }
        return original.call(this);
      };
    }`;
    const hears = await open(t, "/c/camera", without(/AV1/i));
    await says(hears, "Its picture is AV1, a format that this browser does not know.");
    await hears.locator('section[data-state="live"]').waitFor({ timeout: 15_000 });
    await shot(hears, "watch-without-codec");
    const sees = await open(t, "/c/camera");
    await sees.locator('section[data-state="live"]').waitFor({ timeout: 15_000 });
    await says(page, "1 viewer sees no picture: the browser cannot play AV1");
    const overWhep = await open(t, "/c/camera?signaling=whep", without(/AV1/i));
    await overWhep.locator('section[data-state="live"]').waitFor({ timeout: 15_000 });
    await says(overWhep, "Its picture is AV1, a format that this browser does not know.");
    await says(page, "2 viewers see no picture: their browsers cannot play AV1");
    const nothing = await open(t, "/c/camera", without(/AV1|opus/i));
    await says(nothing, "This browser cannot play the stream");
    await says(page, "1 browser could play nothing at all");
    await shot(page, "studio-codec");
    await hears.close();
    await says(page, "1 viewer sees no picture: the browser cannot play AV1");
  });

  test("packets of a stream that the machine drops because the server does not get round to them", async (t) => {
    const outside = await startOutside(server, "outside");
    t.after(outside.stop);
    const page = await desk(t, "outside");
    server.freeze(true);
    try {
      await outside.burst(6_000);
    } finally {
      server.freeze(false);
    }
    await page.locator('[data-warning="overloaded"]').waitFor({ timeout: 15_000 });
    await says(page, "The server has too much to do");
    await says(page, "It dropped packets of your stream.");
    const { warnings } = (await server.streams()).find(({ channel }) => channel === "outside");
    assert.match(warnings.find(({ code }) => code === "overloaded").message, /it is overloaded, or net\.core\.rmem_max is too small/);
    assert.match(server.log(), /This server lost packets between ingest and relay/);
    await shot(page, "studio-overloaded");
  });
});
