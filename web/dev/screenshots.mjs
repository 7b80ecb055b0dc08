// Draws the built page in each of its states, in both colour schemes, on a phone and on a desk, and writes
// pictures of it. The server, the network and the video are imitated: nothing has to run.
//
//   npm run build && npm run screenshots [-- FOLDER]
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { preview } from "vite";

const folder = process.argv[2] ?? "screenshots";
const only = process.argv[3];
mkdirSync(folder, { recursive: true });

const MINUTE_MS = 60_000;
const stream = (channel, name, viewers, minutes, more = {}) => ({
  channel,
  name,
  port: 24000 + viewers,
  since_ms: Date.now() - minutes * MINUTE_MS,
  state: "live",
  viewers,
  bitrate_bps: 4_200_000,
  tracks: [
    { kind: "video", codec: "h264", profile: "4d401f", width: 1280, height: 720, fps: 30, bitrate_bps: 4_000_000 },
    { kind: "audio", codec: "opus", profile: null, width: null, height: null, fps: null, bitrate_bps: 160_000 },
  ],
  warnings: [],
  ...more,
});
const STREAMS = [
  stream("summit", "First light from the summit station", 1284, 47),
  stream("workshop", "Grinding a four-inch mirror by hand", 312, 133),
  stream("harbour", null, 57, 12),
  stream("orchestra", "Rehearsal: Nielsen, fourth symphony", 41, 0, { state: "waiting" }),
  stream("café-noir", "Late shift", 8, 3100, { state: "away" }),
  stream(null, null, 1, 3),
];

const OFFER = { type: "offer", sdp: "v=0\r\n" };
const say = (socket, event, data) => socket.send(JSON.stringify({ event, data }));
const play = (socket) => {
  say(socket, "state", { state: "live", channel: "summit", name: "First light from the summit station" });
  say(socket, "info", { no_connections: 1284 });
  say(socket, "offer", OFFER);
};

/** Each scene: where the page is opened, what the imitated server does, and what to do before the picture. */
const SCENES = {
  "home-empty": { path: "/", streams: [] },
  "home-channels": { path: "/", streams: STREAMS },
  "home-unreachable": { path: "/", streams: null },
  "not-found": { path: "/nowhere" },
  "watch-connecting": { path: "/c/summit", socket: () => undefined },
  "watch-waiting": { path: "/c/summit", socket: (socket) => say(socket, "state", { state: "waiting" }) },
  "watch-offline": { path: "/c/summit", streams: STREAMS.slice(1, 4), socket: (socket) => say(socket, "state", { state: "offline" }) },
  "watch-live": { path: "/c/summit", streams: STREAMS, socket: play },
  "watch-live-sound": { path: "/c/summit", streams: STREAMS, socket: play, then: (page) => page.keyboard.press("m") },
  "watch-delay": {
    path: "/c/summit",
    streams: STREAMS,
    socket: play,
    then: (page) => page.getByRole("button", { name: "Delay" }).click(),
  },
  "watch-paused": { path: "/c/summit", streams: STREAMS, socket: play, then: (page) => page.keyboard.press("k") },
  "watch-away": {
    path: "/c/summit",
    streams: STREAMS,
    socket: play,
    thenSocket: (socket) => say(socket, "state", { state: "away" }),
  },
  "watch-stalled": {
    path: "/c/summit",
    streams: STREAMS,
    socket: play,
    then: async (page) => {
      await page.evaluate(() => (window.frozen = true));
      await page.waitForTimeout(3500);
    },
  },
  "watch-slow-device": {
    path: "/c/summit",
    streams: STREAMS,
    socket: play,
    then: async (page) => {
      await page.evaluate(() => (window.slow = true));
      await page.waitForTimeout(4500);
    },
  },
  "watch-no-webrtc": { path: "/c/summit", streams: STREAMS, init: () => delete window.RTCPeerConnection },
  "watch-ended": {
    path: "/c/summit",
    streams: STREAMS.slice(1),
    socket: play,
    thenSocket: (socket) => {
      say(socket, "close", { code: "stream-ended", message: "the stream has ended" });
      socket.close();
    },
  },
  "watch-retrying": { path: "/c/summit", refuse: true, then: (page) => page.waitForTimeout(4200) },
  "watch-unsupported": {
    path: "/c/summit",
    streams: STREAMS,
    socket: (socket) => {
      say(socket, "close", { code: "codec-not-supported", message: "no common codec" });
      socket.close();
    },
  },
  "watch-notice": {
    path: "/c/summit",
    streams: STREAMS,
    socket: (socket) => {
      play(socket);
      say(socket, "error", { code: "codec-not-supported", message: "the browser does not know H.264" });
    },
  },
};

/** Stands in for WebRTC: a peer connection that shows a drawing. Runs in the page. */
function fakeWebRtc() {
  const canvas = document.createElement("canvas");
  canvas.width = 1280;
  canvas.height = 720;
  const context = canvas.getContext("2d");
  let frame = 0;
  const draw = () => {
    frame += 1;
    const sky = context.createLinearGradient(0, 0, 0, 720);
    sky.addColorStop(0, "#274060");
    sky.addColorStop(0.6, "#c7825a");
    sky.addColorStop(1, "#f3c98b");
    context.fillStyle = sky;
    context.fillRect(0, 0, 1280, 720);
    context.fillStyle = "#ffe9b8";
    context.beginPath();
    context.arc(830, 400, 70, 0, 7);
    context.fill();
    for (const [base, shade, step] of [[470, "#5b4a55", 190], [560, "#2d2a37", 240]]) {
      context.fillStyle = shade;
      context.beginPath();
      context.moveTo(0, 720);
      for (let x = 0; x <= 1280; x += 20) context.lineTo(x, base + 60 * Math.sin(x / step) + 24 * Math.sin(x / 47));
      context.lineTo(1280, 720);
      context.fill();
    }
    context.fillStyle = frame % 2 ? "#fff" : "#eee";
    context.fillRect(1200, 20, 40, 8);
  };
  draw();
  setInterval(draw, 66);
  window.RTCPeerConnection = class extends EventTarget {
    connectionState = "new";
    iceConnectionState = "connected";
    async setRemoteDescription() {
      const stream = canvas.captureStream(15);
      this.ontrack?.({ track: stream.getTracks()[0], streams: [stream] });
      setTimeout(() => {
        this.connectionState = "connected";
        this.onconnectionstatechange?.();
      }, 100);
    }
    async setLocalDescription() {}
    addTransceiver() {}
    getReceivers() {
      return [];
    }
    async createOffer() {
      return { sdp: "v=0\r\n" };
    }
    async createAnswer() {
      return { sdp: "v=0\r\n" };
    }
    async addIceCandidate() {}
    async getStats() {
      if (!window.frozen && !window.slow) this.decoded = frame;
      return new Map([["v", { type: "inbound-rtp", kind: "video", framesDecoded: this.decoded, framesReceived: frame }]]);
    }
    close() {}
  };
}

const VIEWS = {
  desk: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

const site = await preview({ preview: { port: 0, host: "127.0.0.1" }, logLevel: "error" });
const origin = site.resolvedUrls.local[0];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
  ],
});

async function shoot(name, scene, viewName, colorScheme) {
  const context = await browser.newContext({ ...VIEWS[viewName], colorScheme });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`${name}: ${error.message}`));
  let socket;
  await page.addInitScript(fakeWebRtc);
  if (scene.init) await page.addInitScript(scene.init);
  await page.route("**/config.json", (route) => route.fulfill({ json: { iceServers: [] } }));
  await page.route("**/events", (route) =>
    scene.streams == null
      ? route.fulfill({ status: 502 })
      : route.fulfill({
          contentType: "text/event-stream",
          body: `event: streams\ndata: ${JSON.stringify({ streams: scene.streams })}\n\n`,
        }),
  );
  await page.route("**/streams", (route) =>
    scene.streams == null ? route.fulfill({ status: 502 }) : route.fulfill({ json: { streams: scene.streams } }),
  );
  await page.route("**/whep/**", (route) => route.abort());
  await page.routeWebSocket("**/websocket*", (route) => {
    if (scene.refuse || socket) {
      if (!scene.refuse) return say(route, "state", { state: "offline" });
      return route.close();
    }
    socket = route;
    scene.socket?.(route);
  });
  await page.goto(new URL(scene.path, origin).href);
  await page.waitForTimeout(1600);
  if (scene.thenSocket) scene.thenSocket(socket);
  await scene.then?.(page);
  await page.waitForTimeout(900);
  const file = `${folder}/${name}-${viewName}-${colorScheme}.png`;
  await page.screenshot({ path: file, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  console.log(`${file}${wide ? "  SCROLLS SIDEWAYS" : ""}`);
  await context.close();
}

for (const [name, scene] of Object.entries(SCENES)) {
  if (only && !name.startsWith(only)) continue;
  for (const view of Object.keys(VIEWS)) for (const scheme of ["light", "dark"]) await shoot(name, scene, view, scheme);
}
await browser.close();
await site.close();
