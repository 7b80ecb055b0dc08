// What the page costs the viewer's processor, beside a bare page that plays the same video at the same size. By hand:
// HELIOGRAPH_PROFILE=release npm run cost
import { readFileSync, readdirSync } from "node:fs";

import { launch } from "./browser.mjs";
import { median, printColumns } from "./figures.mjs";
import { programs, startPublisher, startServer } from "./processes.mjs";
import { startPage } from "./proxy.mjs";

const SECONDS = 8;
const ROUNDS = 3;
const VIEWPORT = { width: 1280, height: 800 };
const TICKS_PER_SECOND = 100;

/** A page that does nothing but play, over WHEP. */
const bare = (server, { width, height }) => `<!doctype html><title>bare</title><style>body{margin:0}video{display:block}</style>
  <video muted autoplay playsinline width="${width}" height="${height}"></video><script type="module">
    const peer = new RTCPeerConnection();
    peer.ontrack = ({ streams }) => (document.querySelector("video").srcObject = streams[0]);
    for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
    await peer.setLocalDescription();
    const headers = { "content-type": "application/sdp" };
    const answer = await fetch("${server}/whep/den", { method: "POST", headers, body: peer.localDescription.sdp });
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  </script>`;

/** Processor time of all processes of the browser so far, in seconds. */
function browserSeconds() {
  const processes = readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [, parent, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const ticks = Number(rest[9]) + Number(rest[10]);
      return [{ pid: Number(pid), parent: Number(parent), ticks, name: readFileSync(`/proc/${pid}/cmdline`, "utf8") }];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
  const ours = new Set([process.pid]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of processes) if (ours.has(parent)) ours.add(pid);
  }
  const browsers = processes.filter(({ pid, name }) => ours.has(pid) && /chrom/i.test(name));
  return browsers.reduce((sum, { ticks }) => sum + ticks / TICKS_PER_SECOND, 0);
}

async function measure(browser, url, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: VIEWPORT, locale: "en" });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector("video")?.videoWidth > 0);
  await prepare(page);
  await page.waitForTimeout(4_000);
  const size = await page.locator("video").boundingBox();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Performance.enable");
  const mainSeconds = async () => {
    const { metrics } = await devtools.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration").value;
  };
  const before = [browserSeconds(), await mainSeconds()];
  await page.waitForTimeout(SECONDS * 1000);
  const after = [browserSeconds(), await mainSeconds()];
  await context.close();
  const [all, main] = after.map((value, at) => ((value - before[at]) / SECONDS) * 100);
  return { all, main, size };
}

const paths = programs();
const server = await startServer(paths.server, ["den"]);
const publisher = await startPublisher(paths.publisher, server, "den", { interleave: true });
const browser = await launch();
try {
  const watch = `${server.url}/c/den`;
  const { size } = await measure(browser, watch);
  const plain = await startPage(bare(server.url, size));
  const kinds = [
    ["bare", plain.url],
    ["watch page", watch],
    ["with live figures", watch, (page) => page.keyboard.press("i")],
  ];
  const found = kinds.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [at, [, url, prepare]] of kinds.entries()) found[at].push(await measure(browser, url, prepare));
  }
  await plain.stop();
  const rows = kinds.map(([name], at) => ({ name, all: median(found[at].map(({ all }) => all)), main: median(found[at].map(({ main }) => main)) }));
  printColumns(`percent of a core, medians of ${ROUNDS} times ${SECONDS} s, ${size.width}x${size.height}`, [
    ["page", ({ name }) => name],
    ["whole browser", ({ all }) => all.toFixed(1)],
    ["beyond bare (goal 5)", ({ all }) => (all - rows[0].all).toFixed(1)],
    ["main thread", ({ main }) => main.toFixed(2)],
  ], rows);
} finally {
  await browser.close();
  await publisher.stop();
  await server.stop();
}
