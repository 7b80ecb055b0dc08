// A long run: a server, viewers that come and go, a publisher that ends and comes back, and a page that stays. Samples
// what must stay flat, and says at the end whether it did.
//
//   npm run soak -- --seconds 3600 [--viewers 100] [--churn 1] [--restart 300] [--out FILE]
//
// Wants release programs (HELIOGRAPH_PROFILE=release). The viewers are `heliograph load`.
import { appendFileSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";

import { launch } from "./browser.mjs";
import { median, percentile } from "./figures.mjs";
import { installProbe } from "./probe.mjs";
import { here, programs, start, startPublisher, startServer } from "./processes.mjs";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "3600" },
    /** Watching at once, besides the page. */
    viewers: { type: "string", default: "100" },
    /** Of those, how many are replaced per second. */
    churn: { type: "string", default: "1" },
    /** Seconds between two ends of the publisher, one polite, one not. */
    restart: { type: "string", default: "300" },
    out: { type: "string", default: "soak.jsonl" },
  },
});
const seconds = Number(options.seconds);
const everyMs = Math.max(2000, (seconds * 1000) / 240);
const CHANNEL = "soak";

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** What the kernel says about a process. */
function look(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  const targets = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // Closed meanwhile.
    }
  });
  const sockets = new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
  const udp = ["udp", "udp6"].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1));
  return {
    rssMiB: number("VmRSS") / 1024,
    threads: number("Threads"),
    files: targets.length,
    udpPorts: udp.filter((line) => sockets.has(line.trim().split(/\s+/)[9])).length,
  };
}

/** Waits until the channel is on the air. */
async function onAir(server) {
  while ((await server.streams()).every((stream) => stream.state !== "live")) await sleep(200);
}

/** Viewers of the load generator, begun again whenever a run of them is over. */
function keepViewers(path, server, until) {
  let current = null;
  const done = (async () => {
    while (Date.now() + 15_000 < until) {
      // The publisher may be away just then.
      await onAir(server);
      const hold = Math.min(600, Math.floor((until - Date.now()) / 1000) - 10);
      const args = ["load", server.url, "--channel", CHANNEL, "--viewers", options.viewers, "--churn", options.churn];
      args.push("--ramp", "20", "--transport", "both", "--probes", "1", "--hold", `${hold}`);
      current = start(here, path, args, ["ignore", "pipe", "inherit"]);
      let text = "";
      current.child.stdout.on("data", (part) => (text += part));
      const { code } = await current.ended;
      if (code !== 0) throw new Error(`the load generator ended with ${code}: ${text}`);
      runs.push(JSON.parse(text));
    }
  })();
  done.catch(() => {});
  return { done, stop: async () => void (await current?.stop()) };
}

/** Ends and starts the publisher by turns with and without a goodbye. */
function keepPublisher(path, server, until) {
  let publisher = null;
  let restarts = 0;
  const done = (async () => {
    publisher = await startPublisher(path, server, CHANNEL);
    while (Date.now() + Number(options.restart) * 1000 + 10_000 < until) {
      await sleep(Number(options.restart) * 1000);
      await (restarts % 2 ? publisher.kill() : publisher.stop());
      await sleep(2000);
      publisher = await startPublisher(path, server, CHANNEL);
      restarts += 1;
    }
  })();
  done.catch(() => {});
  return { done, restarts: () => restarts, stop: async () => void (await publisher?.stop()) };
}

const paths = programs();
rmSync(options.out, { force: true });
const server = await startServer(paths.server, [CHANNEL]);
const until = Date.now() + seconds * 1000;
const publisher = keepPublisher(paths.publisher, server, until);
const browser = await launch();
const samples = [];
/** Reports of the load generator. */
const runs = [];
try {
  await onAir(server);
  const viewers = keepViewers(paths.server, server, until);
  const page = await browser.newPage();
  await page.addInitScript(installProbe);
  await page.goto(`${server.url}/c/${CHANNEL}`, { waitUntil: "commit" });
  while (Date.now() < until) {
    await sleep(everyMs);
    // Taken out of the page, so that the page itself stays flat.
    const frames = await page.evaluate(() => window.probe.frames.splice(0).map(({ wall, stamp }) => wall - stamp?.wallMs));
    const delays = frames.filter(Number.isFinite);
    const [stream] = await server.streams();
    const sample = {
      second: Math.round((Date.now() - until) / 1000 + seconds),
      ...look(server.pid),
      streams: (await server.streams()).length,
      viewers: stream?.viewers ?? 0,
      pictures: frames.length,
      delayMs: median(delays),
      delayP95Ms: percentile(delays, 0.95),
      restarts: publisher.restarts(),
    };
    samples.push(sample);
    appendFileSync(options.out, `${JSON.stringify(sample)}\n`);
  }
  await viewers.stop();
  await viewers.done;
  await publisher.done;
} finally {
  await browser.close();
  await publisher.stop();
  await server.stop();
}
process.exitCode = judge() ? 0 : 1;

/** Compares the second quarter of the run with its last one; the first is warming up. */
function judge() {
  const quarter = (from) =>
    samples.slice(Math.floor((samples.length * from) / 4), Math.floor((samples.length * (from + 1)) / 4));
  const of = (name, part) => median(quarter(part).map((sample) => sample[name]).filter(Number.isFinite));
  const bounds = {
    rssMiB: (before) => before + Math.max(4, before * 0.05),
    threads: (before) => before,
    // Churn: sockets that are being opened or closed.
    files: (before) => before + 10,
    udpPorts: (before) => before,
    streams: (before) => before,
    delayMs: (before) => before + 20,
    delayP95Ms: (before) => before + 60,
  };
  let flat = samples.length >= 8;
  for (const [name, bound] of Object.entries(bounds)) {
    const [before, after] = [of(name, 1), of(name, 3)];
    const holds = after <= bound(before);
    flat &&= holds;
    const round = (value) => Math.round(value * 10) / 10;
    console.log(`${name}: ${round(before)} then ${round(after)}${holds ? "" : `  <-- more than ${round(bound(before))}`}`);
  }
  const sum = (figure) => runs.reduce((total, run) => total + figure(run), 0);
  const [joins, failed] = [sum((run) => run.viewers.connected), sum((run) => run.viewers.failed)];
  const [received, missing] = [sum((run) => run.media.received_packets), sum((run) => run.media.missing_packets)];
  console.log(`${runs.length} runs of viewers: ${joins} joined, ${failed} failed, ${missing} of ${received} packets missing`);
  flat &&= runs.length > 0 && failed === 0 && missing <= received / 1000;
  console.log(`${samples.length} samples in ${seconds} s, ${publisher.restarts()} returns of the publisher: ${flat ? "flat" : "not flat"}`);
  return flat;
}
