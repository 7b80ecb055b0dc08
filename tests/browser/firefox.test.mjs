// The page in Firefox as it comes: without H.264 (it fetches that from the net later), with its own camera, with its own rules
// about what may start by itself.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { firefoxPath, launchFirefox } from "./firefox.mjs";
import { here, programs, startPublisher, startServer } from "./processes.mjs";

const SHOTS = join(dirname(fileURLToPath(import.meta.url)), "screenshots");
/** Blocks everything that nobody has asked for, also without sound. */
const BLOCK_ALL = { "media.autoplay.default": 5, "media.autoplay.blocking_policy": 0 };
/** As some people set it who do not want their address to be told. */
const NO_WEBRTC = { "media.peerconnection.enabled": false };
const ENTER = "\uE007";

// Pages without a microphone are told no address but the one that leads out of the machine, so loopback alone is no way.
const leadsOut = Object.values(networkInterfaces()).flat().some(({ internal }) => !internal);
const skip = leadsOut ? firefoxPath() === null && "no Firefox (apt-get install firefox-esr, or set FIREFOX)" : "no network but loopback";

describe("Firefox", { skip, timeout: 120_000 }, () => {
  let firefox;
  let server;
  let publisher;
  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    const paths = programs();
    server = await startServer(paths.server, ["den", "camera"], { ...here, listen: "0.0.0.0" });
    publisher = await startPublisher(paths.publisher, server, "den", { width: 640, height: 360, bitrate: 600, interleave: true });
    firefox = await launchFirefox();
  });
  after(async () => {
    await firefox?.close();
    await publisher?.stop();
    await server?.stop();
  });

  const shot = (page, name) => page.screenshot(join(SHOTS, `firefox-${name}.png`));
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  /** The colours of the picture, all added up; it changes all the time. */
  const colour = (page) =>
    page.evaluate(() => {
      const pen = new OffscreenCanvas(64, 36).getContext("2d");
      pen.drawImage(document.querySelector("video"), 0, 0, 64, 36);
      return pen.getImageData(0, 0, 64, 36).data.reduce((sum, value) => sum + value, 0);
    });
  const moves = async (page, what) => {
    const first = await colour(page);
    for (let look = 0; look < 20; look += 1) {
      await wait(100);
      if ((await colour(page)) !== first) return;
    }
    assert.fail(`${what}: the picture stands still`);
  };

  test("goes live from the desk, watches that in every delay, and lists all with stills", async () => {
    const desk = await firefox.newPage();
    await desk.goto(`${server.url}/studio`);
    await desk.until(() => {
      document.querySelector("input[type=password]")?.focus();
      return document.activeElement?.type === "password";
    });
    await desk.type(`${server.key("camera")}${ENTER}`);
    await desk.click("Camera");
    await desk.until(() => document.querySelector("section[data-phase=ready]") !== null);
    await desk.click("Go live");
    await desk.until(() => document.querySelector("section[data-phase=live]") !== null);

    const page = await firefox.newPage();
    await page.goto(`${server.url}/c/camera`);
    await page.state("live");
    await moves(page, "joined");
    const heard = () =>
      page.evaluate(async () => {
        const entries = await window.heliograph.session.stats();
        return entries.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio")?.totalAudioEnergy;
      });
    await page.type("m");
    const before = await heard();
    await page.until(() => document.querySelector("section[data-muted=false]") !== null);
    // Back to no delay at all, its picture would stand still for many seconds.
    for (const mode of ["Smooth", "Lowest"]) {
      await page.click("Delay");
      await page.click(mode);
      await wait(2_000);
      await moves(page, mode);
    }
    assert.ok((await heard()) > before, "no sound");
    await page.type("i");
    await page.says("SRTP");
    await shot(page, "figures");
    assert.deepEqual(page.errors, []);
    await page.close();
    const home = await firefox.newPage();
    await home.goto(server.url);
    await home.until(() => document.querySelectorAll("article canvas[data-drawn=true]").length === 2);
    await home.close();
    await desk.click("Stop the broadcast");
    await desk.until(() => document.querySelector("section[data-phase=off]") !== null);
    assert.deepEqual(desk.errors, []);
    await desk.close();
  });

  test("says what it needs for H.264, and plays the sound, over either way of signaling", async () => {
    for (const signaling of ["websocket", "whep"]) {
      const page = await firefox.newPage();
      await page.goto(`${server.url}/c/den?signaling=${signaling}`);
      await page.state("live");
      await page.says("You can hear this stream, but not see it");
      await page.says("OpenH264");
      await page.type("m");
      await page.until(() => window.heliograph.session.playback?.audio?.packetsReceived > 50);
      await shot(page, `h264-${signaling}`);
      assert.deepEqual(page.errors, []);
      await page.close();
    }
  });

  test("waits for a click where its rule is that nothing starts by itself", async (t) => {
    const strict = await launchFirefox(BLOCK_ALL);
    t.after(() => strict.close());
    const page = await strict.newPage();
    await page.goto(`${server.url}/c/den`);
    await page.state("autoplay-blocked");
    await page.says("Your browser starts videos only when you ask for it.");
    await shot(page, "autoplay-blocked");
    await page.click("Start watching");
    await page.state("live");
    assert.equal(await page.evaluate(() => document.querySelector("video").paused), false);
    assert.deepEqual(page.errors, []);
  });

  test("says that WebRTC is switched off, what to do about it, and asks for nothing more", async (t) => {
    const without = await launchFirefox(NO_WEBRTC);
    t.after(() => without.close());
    const page = await without.newPage();
    await page.goto(`${server.url}/c/den`);
    await page.state("failed");
    await page.says("This browser has no WebRTC");
    await page.says("WebRTC is switched off by a setting or an extension. Switch it on, or use another browser.");
    assert.equal(await page.evaluate(() => window.heliograph.session.snapshot.state.cause.code), "no-webrtc");
    // Trying again would not help.
    const buttons = () => [...document.querySelectorAll("section[data-state] button")].map(({ textContent }) => textContent);
    assert.deepEqual(await page.evaluate(buttons), []);
    await shot(page, "no-webrtc");
    assert.deepEqual(page.errors, []);
  });
});
