// Real Chromium behind a bad network: one case after the other, and what it showed.
import { launch, visit } from "./browser.mjs";
import { levelOf, median, percentile, printColumns } from "./figures.mjs";
import { startLink } from "./link.mjs";
import { STREAM_KBIT } from "./networks.mjs";
import { collect } from "./probe.mjs";
import { linkEmulator, programs, startPublisher, startServer } from "./processes.mjs";

/** From `goto` to the first signaling message, roughly: so much earlier a page is opened to join at a given share. */
const LEAD_MS = 60;
const FPS = 30;

/**
 * Server and publisher on one side of a link, the browser on the other; with `uplink`, the publisher alone on the other.
 * Null where there can be no link.
 */
export async function startScene({ seed, record, uplink = false, channel = "net" } = {}) {
  const paths = programs();
  const link = await startLink(linkEmulator(), { seed, record });
  if (!link) return null;
  const closing = [() => link.stop()];
  const close = async () => {
    for (const one of closing.reverse()) await one();
  };
  try {
    const server = await startServer(paths.server, [channel], link.server);
    closing.push(async () => void (await server.stop()));
    const publisher = await startPublisher(paths.publisher, server, channel, {
      bitrate: STREAM_KBIT,
      grain: 60,
      place: uplink ? link.viewer : link.server,
    });
    closing.push(async () => void (await publisher.stop()));
    const browser = await launch((uplink ? link.server : link.viewer).chromium());
    closing.push(() => browser.close());
    const url = `${server.url}/c/${channel}`;
    // The first page is slower: the browser starts its parts.
    await visit(browser, url, { seconds: 0.5 });
    return { link, server, publisher, browser, url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Watches one case for `seconds`. */
export async function watch(scene, network, seconds) {
  const { link, publisher, browser, url } = scene;
  await link.set(network.link);
  const joins = [];
  for (let join = 0; join < (network.joins ?? 0); join++) {
    const seen = await visit(browser, url, { seconds: 0.2, when: () => publisher.phase((0.1 + 0.37 * join) % 1, LEAD_MS) });
    joins.push(firstPictureOf(seen));
  }
  const before = await link.counts();
  const changes = [];
  const looks = [];
  const seen = await visit(browser, url, {
    seconds: 0,
    when: () => publisher.phase(0.5, LEAD_MS),
    meanwhile: async (page) => {
      const begun = Date.now();
      const until = (second) => page.waitForTimeout(Math.max(0, begun + second * 1000 - Date.now()));
      await until(2);
      looks.push(await page.evaluate(collect));
      for (const [second, change] of network.later ?? []) {
        await until(second);
        changes.push(await page.evaluate(() => performance.now()));
        if (change === "address") await moveViewer(link);
        else await link.set(change);
      }
      await until(seconds);
    },
  });
  const after = await link.counts();
  joins.push(firstPictureOf(seen));
  return figuresOf(network, seen, { joins, changes, looks, before, after });
}

/** Goals that a row misses, in words. Nothing fails here: what a busy machine does is no fault of the server. */
export function missed(row) {
  return Object.entries(row.goals)
    .filter(([name, goal]) => (AT_LEAST.includes(name) ? row[name] < goal : row[name] > goal))
    .map(([name, goal]) => `${name} ${Math.round(row[name] * 1000) / 1000}, goal ${goal}  <-- missed`);
}

const AT_LEAST = ["complete"];

const ms = (value) => (Number.isFinite(value) ? `${Math.round(value)}` : "-");
const share = (value) => `${(100 * value).toFixed(1)} %`;
const COLUMNS = [
  ["network", (row) => row.name],
  ["first picture", (row) => `${ms(row.firstPictureMs)} (worst ${ms(row.worstFirstPictureMs)})`],
  ["freezes", (row) => `${row.freezes} (${ms(row.frozenMs)} ms)`],
  ["longest gap", (row) => ms(row.longestGapMs)],
  ["delay", (row) => `${ms(row.delayMs)} (p95 ${ms(row.delayP95Ms)})`],
  ["at the end", (row) => `${ms(row.endDelayMs)} (p95 ${ms(row.endDelayP95Ms)})`],
  ["back after", (row) => ms(row.backAfterMs)],
  ["settled", (row) => ms(row.settledAfterMs)],
  ["shown", (row) => share(row.pictures)],
  ["complete", (row) => share(row.complete)],
  ["lost on link", (row) => row.lostOnLink],
  ["nack/rtx/pli", (row) => `${row.nacks}/${row.rtx}/${row.plis}`],
  ["parity", (row) => row.fec],
  ["sound concealed", (row) => ms(row.concealedMs)],
];

export const printNetworks = (rows) => printColumns("bad networks; times in ms", COLUMNS, rows);

const firstPictureOf = (seen) => (seen.frames[0]?.at ?? Number.NaN) - (seen.signaling?.at ?? Number.NaN);

/** Another address for the viewer's machine, as when it goes from one network to another. */
let address = 2;
async function moveViewer(link) {
  const [old, fresh] = [address, address + 1].map((last) => `10.77.0.${last}/24`);
  address += 1;
  await link.viewer.run("ip", ["address", "del", old, "dev", "link0"]);
  await link.viewer.run("ip", ["address", "add", fresh, "dev", "link0"]);
  await link.viewer.run("ip", ["route", "add", "default", "via", link.server.host]);
}

function figuresOf(network, seen, { joins, changes, looks, before, after }) {
  const frames = seen.frames;
  const first = frames[0]?.at ?? Number.NaN;
  const last = frames.at(-1)?.at ?? Number.NaN;
  const gaps = frames.slice(1).map((frame, index) => ({ at: frame.at, ms: frame.at - frames[index].at }));
  const delays = frames.filter((frame) => frame.stamp).map(({ at, wall, stamp }) => ({ at, ms: wall - stamp.wallMs }));
  const between = (from, to) => delays.filter(({ at }) => at >= from && at <= to).map(({ ms }) => ms);
  const numbers = frames.filter((frame) => frame.stamp).map(({ stamp }) => stamp.number);
  const expected = Math.max(...numbers) - Math.min(...numbers) + 1;
  const { video, audio } = seen.inbound;
  const begin = changes[0] ?? Number.NaN;
  const mended = changes.at(-1) ?? Number.NaN;
  const usual = changes.length > 0 ? between(begin - 5000, begin) : between(first + 2000, first + 7000);
  const late = between(last - 5000, last);
  const seconds = (last - first) / 1000;
  const way = network.uplink ? "up" : "down";
  const gone = (counts) => counts[way].lost + counts[way].lostInBursts + counts[way].overflowed;
  return {
    name: network.name,
    says: network.says,
    seconds,
    firstPictureMs: median(joins),
    worstFirstPictureMs: Math.max(...joins),
    freezes: video.freezeCount,
    frozenMs: video.totalFreezesDuration * 1000,
    freezesAMinute: (video.freezeCount * 60) / seconds,
    longestGapMs: Math.max(...gaps.filter(({ at }) => !(at > begin && at < mended + 2000)).map(({ ms }) => ms)),
    gapsAbove100: gaps.filter(({ ms }) => ms > 100).length,
    delayMs: median(usual),
    delayP95Ms: percentile(usual, 0.95),
    endDelayMs: median(late),
    endDelayP95Ms: percentile(late, 0.95),
    backAfterMs: backAfter(gaps, mended),
    settledAfterMs: settled(delays, mended, median(usual)),
    pictures: new Set(numbers).size / expected,
    complete: complete(looks[0].inbound.video, video),
    dropped: video.framesDropped,
    packets: video.packetsReceived,
    lostOnLink: gone(after) - gone(before),
    lost: video.packetsLost,
    nacks: video.nackCount,
    plis: video.pliCount,
    rtx: video.retransmittedPacketsReceived,
    fec: video.fecPacketsReceived ?? 0,
    concealedMs: (audio.concealedSamples - audio.silentConcealedSamples) / 48,
    connections: seen.connections,
    goals: network.goals,
  };
}

/** From a change to the end of the longest gap that it caused; not a number without one. */
function backAfter(gaps, changed) {
  const around = gaps.filter(({ at, ms }) => at > changed && at - ms < changed + 3000);
  const longest = around.sort((a, b) => b.ms - a.ms)[0];
  return longest ? longest.at - changed : Number.NaN;
}

/** Of the pictures that were sent between two looks, how many came completely. */
function complete(before, after) {
  const sent = ((after.timestamp - before.timestamp) / 1000) * FPS;
  return Math.min(1, (after.framesReceived - before.framesReceived) / sent);
}

/** From the mending until nearly all pictures come with the usual delay again. */
function settled(delays, mended, usual) {
  const off = levelOf(delays).filter(({ at, ms }) => at > mended && Math.abs(ms - usual) > 20);
  const strays = Math.ceil(delays.filter(({ at }) => at > mended).length * 0.02);
  return off.length > strays ? off.at(-1 - strays).at - mended : 0;
}
