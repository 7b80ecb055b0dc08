// Going live from the streamer's desk, without an encoder: Chromium's fake camera and microphone.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, visit } from "./browser.mjs";
import { programs, startServer } from "./processes.mjs";

const SHOTS = join(dirname(fileURLToPath(import.meta.url)), "screenshots");
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

describe("a streamer goes live from the desk", { timeout: 120_000 }, () => {
  let cameras;
  let server;
  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    server = await startServer(programs().server, ["den"]);
    cameras = await launch(undefined, ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
  });
  after(async () => {
    await cameras?.close();
    if (!server) return;
    const outcome = await server.stop();
    assert.equal(outcome.code, 0, `the server ended with ${JSON.stringify(outcome)}`);
  });

  const openDesk = async (t, options = {}, origin = server.url) => {
    const context = await cameras.newContext({ viewport: { width: 1280, height: 1000 }, locale: "en", ...options });
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    t.after(async () => {
      await context.close();
      assert.deepEqual(errors, []);
    });
    await page.goto(`${origin}/studio`);
    await page.locator("input[type=password]").fill(server.key("den"));
    await page.keyboard.press("Enter");
    await page.locator("section[data-phase=off]").waitFor();
    return page;
  };
  const phase = (page, name) => page.locator(`section[data-phase=${name}]`).waitFor({ timeout: 15_000 });
  const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
  const accessible = async (page, what) => {
    await page.addScriptTag({ path: AXE });
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.target.join(" ")) }));
    });
    assert.deepEqual(found.filter(({ impact }) => impact === "serious" || impact === "critical"), [], `axe: ${what}`);
  };

  /** What a viewer gets: moving pictures, sound. */
  const watch = async (what) => {
    const seen = await visit(cameras, `${server.url}/c/den`, {
      seconds: 2,
      meanwhile: async (page) => {
        const look = () =>
          page.locator("video").evaluate((video) => {
            const canvas = new OffscreenCanvas(64, 36);
            const pen = canvas.getContext("2d");
            pen.drawImage(video, 0, 0, 64, 36);
            return [...pen.getImageData(0, 0, 64, 36).data];
          });
        const first = await look();
        await page.waitForTimeout(700);
        const second = await look();
        const changed = first.filter((value, at) => Math.abs(value - second[at]) > 24).length;
        assert.ok(changed > 20, `${what}: the picture stands still: ${changed} values changed`);
      },
    });
    assert.ok(seen.frames.length > 20, `${what}: ${seen.frames.length} pictures`);
    assert.ok(seen.energy > 0.05, `${what}: no sound: ${seen.energy}`);
  };

  test("camera and screen: a preview, on the air, another picture without a new connection, off the air", async (t) => {
    const page = await openDesk(t);
    const requests = [];
    page.on("request", (request) => requests.push(`${request.method()} ${request.url()} ${JSON.stringify(request.headers())}`));
    await press(page, "Camera");
    await phase(page, "ready");
    assert.equal((await server.streams()).length, 0, "nobody sees a preview");
    await page.waitForFunction(() => document.querySelector("meter").value > 0.2, null, { timeout: 5_000 });
    const cameraNames = await page.getByLabel("Camera to use").locator("option").allInnerTexts();
    assert.ok(cameraNames.some((name) => name.includes("fake_device")), `${cameraNames}`);
    await accessible(page, "preview");
    await press(page, "Go live");
    await phase(page, "live");
    await page.locator("[data-state=live]").first().waitFor({ timeout: 10_000 });
    await watch("camera");
    await page.screenshot({ path: join(SHOTS, "studio-camera.png"), fullPage: true });
    await accessible(page, "live");
    assert.deepEqual(requests.filter((line) => line.includes("secretOf")), [], "the key left the page");

    await press(page, "Screen and camera");
    await page.waitForFunction(() => document.querySelector("video[data-mirrored=false]")?.videoWidth > 0, null, { timeout: 10_000 });
    await watch("screen and camera");
    await page.screenshot({ path: join(SHOTS, "studio-both.png"), fullPage: true });
    await press(page, "End the stream");
    await press(page, "Yes, end it");
    await phase(page, "off");
    for (let tries = 0; (await server.streams()).some(({ state }) => state === "live"); tries += 1) {
      assert.ok(tries < 50, "still live");
      await page.waitForTimeout(100);
    }
    // The channel is closed to encoders now, and going live from here opens it again.
    await press(page, "Camera");
    await phase(page, "ready");
    await press(page, "Go live");
    await phase(page, "live");
    await press(page, "Stop the broadcast");
    await phase(page, "off");
    assert.equal(requests.filter((line) => line.startsWith("POST") && line.includes("/studio/api/publish")).length, 2);
  });

  test("plain http, on a phone, in German: honest words", async (t) => {
    const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, locale: "de" };
    const context = await cameras.newContext(phone);
    t.after(() => context.close());
    const page = await context.newPage();
    // What browsers do on plain http elsewhere than on this machine.
    await page.addInitScript(() => Object.defineProperty(navigator, "mediaDevices", { value: undefined }));
    await page.goto(`${server.url}/studio`);
    await page.locator("input[type=password]").fill(server.key("den"));
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Nur die Kamera" }).click();
    await page.getByText("nur Seiten auf https oder localhost").waitFor({ timeout: 5_000 });
    assert.equal(await page.getByRole("button", { name: "Bildschirm", exact: true }).count(), 0);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${wide} pixels too wide`);
    await page.screenshot({ path: join(SHOTS, "studio-phone.png"), fullPage: true });
  });
});
