// The page as people meet it: every state brought about for real, keys, languages, frames, several channels, access.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch } from "./browser.mjs";
import { median } from "./figures.mjs";
import { installProbe } from "./probe.mjs";
import { programs, startPublisher, startServer } from "./processes.mjs";
import { startPage, startProxy } from "./proxy.mjs";
import { fallAsleep } from "./sleep.mjs";

const SHOTS = join(dirname(fileURLToPath(import.meta.url)), "screenshots");
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** Small pictures: the page is tested here, not the codec. */
const SMALL = { width: 640, height: 360, bitrate: 600, interleave: true };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

describe("the page", { timeout: 420_000 }, () => {
  let browser;
  let server;
  let paths;
  const publishers = new Map();

  const publish = async (channel, options = SMALL, at = server) => {
    const publisher = await startPublisher(paths.publisher, at, channel, options);
    publishers.set(channel, publisher);
    return publisher;
  };

  before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    paths = programs();
    server = await startServer(paths.server, ["den", "harbour", "guest", "dark"], undefined, ["--publisher-grace-s", "6"]);
    browser = await launch();
    await Promise.all([publish("den"), publish("harbour")]);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([...publishers.values()].map((publisher) => publisher.stop()));
    await server?.stop();
  });

  /** A page of its own, closed when the test is over. Fails with whatever the page's scripts fail with. */
  const open = async (t, url, { context: options = {}, init, browser: other = browser } = {}) => {
    const context = await other.newContext({ viewport: { width: 1280, height: 800 }, locale: "en", ...options });
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    t.after(async () => {
      await context.close();
      assert.deepEqual(errors, []);
    });
    if (init) await page.addInitScript(init);
    await page.goto(url.startsWith("/") ? server.url + url : url, { waitUntil: "domcontentloaded" });
    return page;
  };
  const state = (page, kind, timeout = 15_000) =>
    page.locator(`section[data-state="${kind}"]`).first().waitFor({ timeout });
  const says = (page, text) => page.getByText(text).first().waitFor({ timeout: 15_000 });
  const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });

  /** No finding that keeps people out. */
  const accessible = async (page, what) => {
    await page.addScriptTag({ path: AXE });
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.target.join(" ")) }));
    });
    const serious = found.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(serious, [], `axe: ${what}`);
  };

  test("home: cards with stills, most watched first, coming and going by themselves; search; words when it is empty", async (t) => {
    const page = await open(t, "/");
    await page.locator("article[data-channel=den] canvas[data-drawn=true]").waitFor({ timeout: 10_000 });
    await page.locator("article[data-channel=harbour] canvas[data-drawn=true]").waitFor();
    const light = await page.locator("article[data-channel=den] canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((_, at) => at % 4 === 0).reduce((lights, value) => lights + (value > 128), 0);
    });
    assert.ok(light > 500, `the still is black: ${light} light pixels`);
    await shot(page, "home");
    await accessible(page, "home");

    const guest = await publish("guest");
    await page.locator("article[data-channel=guest]").waitFor();
    await page.getByRole("searchbox").fill("GUE");
    await page.locator("article[data-channel=den]").waitFor({ state: "detached" });
    await guest.stop();
    publishers.delete("guest");
    await says(page, "No channel with “GUE” is on the air");
    await page.getByRole("button", { name: "Show all channels" }).click();
    await page.locator("article[data-channel=den]").waitFor();
    assert.equal(await page.locator("article").count(), 2);
  });

  test("live, and every key", async (t) => {
    const page = await open(t, "/c/den");
    await state(page, "live");
    const player = page.locator("section[data-state]");
    const has = (name, value) => page.locator(`section[data-state][${name}="${value}"]`).waitFor({ timeout: 3_000 });
    const press = (key) => page.keyboard.press(key);
    await has("data-muted", "true");
    await press("m");
    await has("data-muted", "false");
    for (let times = 0; times < 4; times += 1) await press("ArrowDown");
    assert.equal(await page.locator("video").evaluate((video) => video.volume.toFixed(1)), "0.6");
    await press("ArrowUp");
    await press("k");
    await has("data-paused", "true");
    await says(page, "When you go on, you see what is happening then.");
    await press(" ");
    await has("data-paused", "false");
    await press("t");
    await page.locator("[data-theatre=true]").waitFor();
    await shot(page, "watch-theatre");
    await press("f");
    await page.waitForFunction(() => document.fullscreenElement !== null);
    await press("f");
    await page.waitForFunction(() => document.fullscreenElement === null);
    await player.locator("video").dblclick({ position: { x: 300, y: 100 } });
    await page.waitForFunction(() => document.fullscreenElement !== null);
    await press("f");
    await page.waitForFunction(() => document.fullscreenElement === null);
    await press("?");
    await page.getByRole("dialog").waitFor();
    await shot(page, "watch-help");
    await accessible(page, "help");
    await press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => navigator.mediaSession.metadata?.title), "den");

    // What was chosen is remembered.
    await page.reload();
    await state(page, "live");
    assert.equal(await page.locator("video").evaluate((video) => video.volume.toFixed(1)), "0.7");
    await page.locator("[data-theatre=true]").waitFor();
    await press("t");
    await shot(page, "watch-live");
    await accessible(page, "live");
  });

  test("the figure for the delay is the true one within 30 ms, less the encoder", async (t) => {
    const page = await open(t, "/c/den", { init: installProbe });
    await state(page, "live");
    await page.keyboard.press("i");
    const panel = page.getByRole("region", { name: "Live figures" });
    await panel.getByText("SRTP").waitFor();
    // The averages are over three seconds, and the past since the last keyframe is through by then.
    await page.waitForTimeout(3_500);
    const shown = [];
    for (let look = 0; look < 3; look += 1) {
      shown.push(Number((await panel.locator("dd").first().textContent()).replace(/\D/g, "")));
      await page.waitForTimeout(1_000);
    }
    const frames = await page.evaluate(() => window.probe.frames.slice(-150));
    const truth = median(frames.filter((frame) => frame.stamp).map((frame) => frame.wall - frame.stamp.wallMs));
    console.log(`delay: the page says ${median(shown)} ms, the picture's clock ${truth} ms`);
    await shot(page, "watch-figures");
    await accessible(page, "figures");
    const words = await panel.textContent();
    assert.ok(words.includes("from the encoder to your eye"), `no clock, or no round trip to the encoder: ${words}`);
    assert.ok(Math.abs(median(shown) - truth) <= 30, `${median(shown)} ms shown, ${truth} ms true`);
  });

  test("a phone: portrait, two taps, figures below the picture", async (t) => {
    const home = await open(t, "/", { context: { ...PHONE, colorScheme: "dark" } });
    await home.locator("canvas[data-drawn=true]").first().waitFor();
    await shot(home, "phone-home");
    const page = await open(t, "/c/den", { context: PHONE });
    await state(page, "live");
    await page.waitForTimeout(500);
    await shot(page, "phone-watch");
    await page.getByRole("button", { name: "Delay" }).click();
    const [picture, menu] = await Promise.all(["section[data-state]", "[role=menu]"].map((place) => page.locator(place).boundingBox()));
    assert.ok(menu.y >= picture.y && menu.y + menu.height <= picture.y + picture.height, "the menu is cut off");
    await shot(page, "phone-menu");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Live figures" }).click();
    await page.getByText("Round trip", { exact: true }).waitFor();
    await shot(page, "phone-figures");
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, "scrolls sideways");
    for (let tap = 0; tap < 2; tap += 1) await page.touchscreen.tap(120, 160);
    await page.waitForFunction(() => document.fullscreenElement !== null);
  });

  test("German, by the browser's wish and by choice; dark, by the system's", async (t) => {
    const page = await open(t, "/", { context: { locale: "de-DE", colorScheme: "dark" } });
    await page.getByRole("heading", { name: "Auf Sendung" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
    await page.locator("canvas[data-drawn=true]").first().waitFor();
    await shot(page, "home-dark-german");
    await accessible(page, "home, dark");
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ground, "rgb(14, 20, 28)");
    await page.getByRole("combobox", { name: "Sprache" }).selectOption("en");
    await page.getByRole("heading", { name: "On the air" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "On the air" }).waitFor();
  });

  test("several channels: one has the sound, all play, and what is watched stands in the address", async (t) => {
    const page = await open(t, "/watch?c=den");
    await page.getByRole("button", { name: "Add a channel" }).click();
    await page.getByRole("link", { name: "harbour" }).click();
    await page.locator("section[data-state=live]").nth(1).waitFor({ timeout: 10_000 });
    assert.ok(page.url().endsWith("/watch?c=den&c=harbour"));
    const sounds = () => page.locator("video").evaluateAll((videos) => videos.map((video) => !video.muted));
    assert.deepEqual(await sounds(), [false, false]);
    await page.getByRole("button", { name: "Listen to den" }).click();
    assert.deepEqual(await sounds(), [true, false]);
    await page.getByRole("button", { name: "Listen to harbour" }).click();
    assert.deepEqual(await sounds(), [false, true]);
    await shot(page, "several");
    await accessible(page, "several");
    await page.getByRole("button", { name: "Take den away" }).click();
    await page.locator("[data-several='1'] section[data-state=live]").waitFor();
    assert.ok(page.url().endsWith("/watch?c=harbour"));
  });

  test("in a page of another site: the element, its messages, and nothing but the player in a frame", async (t) => {
    const html = `<!doctype html><title>site</title><script type="module" src="${server.url}/heliograph-player.js"></script>
      <heliograph-player channel="den" colour="3366cc" muted></heliograph-player><iframe id="page" src="${server.url}/c/den"></iframe>`;
    const site = await startPage(html);
    t.after(site.stop);
    const page = await open(t, site.url);
    const element = page.locator("heliograph-player");
    const until = (wanted) => page.waitForFunction((wanted) => {
      const { status } = document.querySelector("heliograph-player");
      return Object.entries(wanted).every(([name, value]) => status?.[name] === value);
    }, wanted, { timeout: 15_000 });
    await until({ state: "live", muted: true, channel: "den" });
    await element.evaluate((player) => player.pause());
    await until({ paused: true });
    await element.evaluate((player) => {
      player.play();
      player.volume = 0.25;
    });
    await until({ paused: false, volume: 0.25 });
    const frames = page.frames().map((frame) => frame.url());
    assert.ok(frames.includes(`${server.url}/embed/den?muted=1&colour=3366cc`), frames.join(", "));
    const whole = page.frames().find((frame) => frame.parentFrame() && !frame.url().includes("/embed/"));
    assert.equal(await whole.evaluate(() => document.querySelectorAll("video").length), 0, "the whole page was framed");
    await shot(page, "embedded");
    // In a browser that has a choice of its own, the address and the message win, and it stays as it was.
    const held = (frame) => frame.evaluate(() => window.heliograph.session.peer.getReceivers()[0].jitterBufferTarget ?? 0);
    const inside = page.frames().find((frame) => frame.url().includes("/embed/"));
    await element.evaluate((player) => player.setLatency("smooth"));
    for (let look = 0; (await held(inside)) < 300; look += 1) {
      assert.ok(look < 100, "setLatency changes nothing");
      await page.waitForTimeout(100);
    }
    const plain = await open(t, "/embed/den?controls=0&latency=lowest&colour=336699&muted=1");
    await state(plain, "live");
    assert.equal(await plain.getByRole("button").count(), 0, "controls=0");
    assert.equal(await plain.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--sun")), "#336699");
    assert.equal(await held(plain), 0, "latency=lowest");
    const waiting = await open(t, "/embed/den?autoplay=0");
    await says(waiting, "Ready when you are");
    assert.equal(await waiting.evaluate(() => window.heliograph.sessions().length), 0);
    await waiting.getByRole("button").click();
    await state(waiting, "live");
  });

  test("the streamer's desk: signing in, figures, a title, silence, what to change, and the end", async (t) => {
    const page = await open(t, "/studio");
    await page.getByLabel("Stream key").fill("500-not-the-key");
    await page.getByRole("button", { name: "Sign in" }).click();
    await says(page, "This is not the key of a channel here.");
    await shot(page, "studio-sign-in");
    await accessible(page, "studio, signed out");
    await page.waitForTimeout(2_000);
    await page.getByLabel("Stream key").fill(server.key("den"));
    await page.getByRole("button", { name: "Sign in" }).click();
    await says(page, "You are on the air.");
    assert.equal(await page.evaluate(() => document.cookie), "", "a script can read the cookie");
    await page.getByText("30 fps").first().waitFor();
    const viewer = await open(t, "/c/den");
    await state(viewer, "live");
    await page.getByLabel("Title").fill("The den at night");
    await page.getByRole("button", { name: "Change the title" }).click();
    await viewer.getByRole("heading", { name: "The den at night" }).waitFor();
    await page.getByRole("button", { name: "Mute the channel" }).click();
    await says(page, "Viewers hear nothing now.");
    await page.waitForTimeout(2_000);
    await shot(page, "studio-live");
    await accessible(page, "studio, live");
    await page.getByRole("button", { name: "Sound on again" }).click();
    await page.reload();
    await says(page, "You are on the air.");
    await page.setViewportSize({ width: 390, height: 844 });
    await shot(page, "phone-studio");
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, "scrolls sideways");
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByRole("button", { name: "End the stream" }).click();
    await page.getByRole("button", { name: "Yes, end it" }).click();
    await says(page, /Encoders are turned away/);
    await state(viewer, "offline");
    await shot(page, "studio-ended");
    await page.getByRole("button", { name: "Let encoders in again" }).click();
    await says(page, "You are off the air.");
    publishers.get("den").kill();
    await publish("den");
    await says(page, "You are on the air.");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Stream key").waitFor();
  });

  test("connecting says its step, the first picture is waited for, a standstill says why, the streamer goes and comes back", async (t) => {
    // A stream without media.
    const control = server.url.replace(/\d+$/, (port) => `${Number(port) + 1}`);
    await fetch(`${control}/stream`, { method: "POST", body: '{"channel": "dark"}', headers: { "content-type": "application/json" } });
    const waiting = await open(t, "/c/dark");
    await state(waiting, "waiting");
    await says(waiting, "The first picture is on its way.");
    await waiting.waitForTimeout(900);
    await shot(waiting, "state-waiting");

    const page = await open(t, "/");
    await page.locator("article[data-channel=den]").waitFor();
    server.freeze(true);
    try {
      await page.getByRole("link", { name: "den", exact: true }).click();
      await state(page, "connecting");
      await says(page, "Asking the server for the stream.");
      await page.waitForTimeout(600);
      await shot(page, "state-connecting");
    } finally {
      server.freeze(false);
    }
    await state(page, "live");
    server.freeze(true);
    try {
      await state(page, "stalled");
      await says(page, "No pictures are coming through");
      await page.waitForTimeout(600);
      await shot(page, "state-stalled");
    } finally {
      server.freeze(false);
    }
    await state(page, "live");

    await publishers.get("den").kill();
    await state(page, "away");
    await says(page, "The picture resumes by itself as soon as the streamer is back.");
    await page.waitForTimeout(600);
    await shot(page, "state-away");
    await publish("den");
    await state(page, "live");
    await publishers.get("den").stop();
    await state(page, "offline");
    await says(page, "The broadcast has ended");
    await page.waitForTimeout(600);
    await shot(page, "state-ended");
    await accessible(page, "ended");
    await publish("den");
    await state(page, "live");
  });

  test("a network without WebSockets, one that cuts them, one that forbids, one that lets no UDP through, a click that the browser wants, and a sleep", async (t) => {
    // Three browsers that take their time, while others are looked at. It takes fifteen seconds to give up on a way.
    const walled = await launch(undefined, ["--webrtc-ip-handling-policy=disable_non_proxied_udp"]);
    t.after(() => walled.close());
    const blocked = await open(t, "/c/harbour", { browser: walled });
    // Chromium's own rule lets no sound start by itself: it begins without, and one click brings it.
    const ruled = await launch(undefined, ["--autoplay-policy=document-user-activation-required"]);
    t.after(() => ruled.close());
    const silent = await open(t, "/embed/harbour?muted=0", { browser: ruled });
    const opened = Date.now();
    const awake = await fallAsleep(t, server, (url, sleeper) => open(t, url, { browser: sleeper }));

    const proxy = await startProxy(server.url);
    t.after(proxy.stop);
    const page = await open(t, `${proxy.url}/c/harbour`);
    await state(page, "live");
    const began = await page.evaluate(() => window.heliograph.session.snapshot.timeline.signalingStartMs);
    proxy.cut();
    await page.waitForFunction((began) => window.heliograph.session.snapshot.timeline.signalingStartMs > began, began);
    await state(page, "live");
    proxy.refuse.sockets = true;
    const whep = await open(t, `${proxy.url}/c/harbour`);
    await state(whep, "live");
    await whep.locator("section[data-transport=whep]").waitFor();
    proxy.refuse.watching = true;
    const forbidden = await open(t, `${proxy.url}/c/harbour`);
    await state(forbidden, "failed");
    await says(forbidden, "You are not allowed to watch this");
    await shot(forbidden, "state-not-allowed");

    const muted = (wanted) =>
      silent.waitForFunction(
        (wanted) => document.querySelector('section[data-state="live"]')?.dataset.muted === wanted,
        wanted,
        { timeout: 15_000, polling: 100 },
      );
    // Every look at the page counts as a gesture of its user, which lets sound start: none before it plays.
    await new Promise((done) => setTimeout(done, Math.max(0, opened + 8_000 - Date.now())));
    await muted("true");
    const button = await silent.evaluate(() => {
      const box = [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Turn sound on").getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    });
    await silent.mouse.click(button.x, button.y);
    await muted("false");
    assert.deepEqual(await silent.evaluate(() => [document.querySelector("video").paused, document.querySelector("video").muted]), [false, false]);
    const loud = await open(t, "/embed/harbour?muted=0");
    await loud.locator('section[data-state="live"][data-muted="false"]').waitFor({ timeout: 15_000 });

    // Stands in for a phone that saves power: it lets not even silent videos start, and Chromium has no setting for that.
    const strict = await open(t, "/c/harbour", {
      init: () => {
        const { play } = HTMLMediaElement.prototype;
        let clicked = false;
        window.addEventListener("click", () => (clicked = true), { capture: true });
        HTMLMediaElement.prototype.play = function () {
          return clicked ? play.call(this) : Promise.reject(new DOMException("no gesture", "NotAllowedError"));
        };
      },
    });
    await state(strict, "autoplay-blocked");
    await shot(strict, "state-autoplay-blocked");
    await accessible(strict, "autoplay blocked");
    await strict.getByRole("button", { name: "Start watching" }).click();
    await state(strict, "live");

    // A browser that has been built without H.264.
    const without = await open(t, "/c/harbour", {
      init: () => {
        const { createAnswer } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.createAnswer = function () {
          for (const transceiver of this.getTransceivers()) {
            const { kind } = transceiver.receiver.track;
            const others = RTCRtpReceiver.getCapabilities(kind).codecs.filter((codec) => !/H264|opus/i.test(codec.mimeType));
            transceiver.setCodecPreferences(others);
          }
          return createAnswer.call(this);
        };
      },
    });
    await state(without, "failed");
    await says(without, "This browser cannot play the stream");
    await shot(without, "state-codec");

    await awake();
    await blocked.getByText("The network lets no video through").waitFor({ timeout: 25_000 });
    await blocked.waitForTimeout(1_000);
    await says(blocked, /outgoing UDP to \d+\.\d+\.\d+\.\d+:\d+/);
    await blocked.waitForTimeout(600);
    await shot(blocked, "state-blocked");
    await accessible(blocked, "blocked network");
  });

  test("a full server, and one that starts anew", async (t) => {
    const small = await startServer(paths.server, ["den"], undefined, ["--max-viewers", "1"]);
    const publisher = await startPublisher(paths.publisher, small, "den", SMALL);
    t.after(async () => {
      await publisher.stop();
      await small.stop();
    });
    const first = await open(t, `${small.url}/c/den`);
    await state(first, "live");
    const second = await open(t, `${small.url}/c/den`);
    await says(second, "Every seat is taken");
    await second.waitForTimeout(600);
    await shot(second, "state-full");

    const page = await open(t, "/c/harbour");
    await state(page, "live");
    await Promise.all([...publishers.values()].map((one) => one.stop()));
    publishers.clear();
    await server.restart(async () => {
      await state(page, "retrying");
      await page.waitForTimeout(1_500);
      await shot(page, "state-retrying");
    });
    await publish("harbour");
    await state(page, "live", 20_000);
  });
});
