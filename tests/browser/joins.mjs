// Many visits in one bad network, each only until its first picture, and packet by packet what the slow ones went through.
//
//   HELIOGRAPH_PROFILE=release npm run joins -- [case of networks.mjs] [visits] [seconds at most]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { visit } from "./browser.mjs";
import { median, percentile } from "./figures.mjs";
import { startScene } from "./network.mjs";
import { cases } from "./networks.mjs";
import { readRecord } from "./packets.mjs";

/** The goal at 5 % loss; visits above it are told of. */
const SLOW_MS = 500;

const [name = "loss-5", count = "60", seconds = "80"] = process.argv.slice(2);
const network = cases.find((one) => one.name === name);
if (!network) throw new Error(`no such network: ${name}`);

const folder = mkdtempSync(join(tmpdir(), "heliograph-joins-"));
const record = join(folder, "packets");
const scene = await startScene({ record });
if (!scene) process.exit(1);
const visits = [];
try {
  await scene.link.set(network.link);
  const limit = Date.now() + Number(seconds) * 1000;
  while (visits.length < Number(count) && Date.now() < limit) {
    const { signaling, socketOpen, connected, frames } = await visit(scene.browser, scene.url, { seconds: 0.1 });
    const after = ({ at }) => at - signaling.at;
    visits.push({ wall: signaling.wall, openMs: socketOpen - signaling.at, connectedMs: connected - signaling.at, pictureMs: after(frames[0]) });
  }
  // Has the record written out.
  await scene.link.counts();
  const packets = readRecord(record);
  for (const one of visits.filter(({ pictureMs }) => pictureMs > SLOW_MS)) {
    printVisit(one, packets.filter(({ at }) => at > one.wall - 20 && at < one.wall + one.pictureMs + 20));
  }
} finally {
  await scene.close();
  rmSync(folder, { recursive: true, force: true });
}
for (const [what, key] of [["socket open", "openMs"], ["connected", "connectedMs"], ["first picture", "pictureMs"]]) {
  const all = visits.map((one) => Math.round(one[key])).sort((a, b) => a - b);
  console.log(`${what}, ms: ${all.join(" ")}`);
}
const pictures = visits.map(({ pictureMs }) => pictureMs);
const [half, most, nearlyAll, slowest] = [median(pictures), percentile(pictures, 0.8), percentile(pictures, 0.9), Math.max(...pictures)].map(Math.round);
const slow = pictures.filter((one) => one > SLOW_MS).length;
console.log(`${name}: ${visits.length} visits, first picture: half of them within ${half}, four of five ${most}, nine of ten ${nearlyAll}, the slowest ${slowest} ms; above ${SLOW_MS} ms: ${slow}`);

/** Media that came through is left out. */
function printVisit({ wall, pictureMs, connectedMs }, packets) {
  console.log(`\nfirst picture after ${Math.round(pictureMs)} ms, connected after ${Math.round(connectedMs)} ms`);
  for (const { at, way, lost, length, says } of packets) {
    if (!lost && /^(RTP|RTCP arrival)/.test(says)) continue;
    console.log(`${(at - wall).toFixed(1).padStart(8)} ${way === "down" ? "-->" : "<--"} ${lost ? "LOST" : "    "} ${String(length).padStart(5)} ${says}`);
  }
}
