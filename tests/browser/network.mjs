// Real Chromium behind a bad network: one case after the other, and what it showed.
import { launch, visit } from "./browser.mjs";
import { median, percentile } from "./figures.mjs";
import { startLink } from "./link.mjs";
import { STREAM_KBIT } from "./networks.mjs";
import { linkEmulator, programs, startPublisher, startServer } from "./processes.mjs";

/** From `goto` to the first signaling message, roughly: so much earlier a page is opened to join at a given share. */
const LEAD_MS = 60;
const FPS = 30;

/** Server, publisher and browser on their sides of a link; null where there can be no link. */
export async function startScene({ seed, channel = "net" } = {}) {
  const paths = programs();
  const link = await startLink(linkEmulator(), { seed });
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
      place: link.server,
    });
    closing.push(async () => void (await publisher.stop()));
    const browser = await launch(link.viewer.chromium());
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
  const seen = await visit(browser, url, {
    seconds: 0,
    when: () => publisher.phase(0.5, LEAD_MS),
    meanwhile: async (page) => {
      const begun = Date.now();
      const until = (second) => page.waitForTimeout(Math.max(0, begun + second * 1000 - Date.now()));
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
  return figuresOf(network, seen, { joins, changes, before, after });
}

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

function figuresOf(network, seen, { joins, changes, before, after }) {
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
  const lost = after.down.lost + after.down.lostInBursts - before.down.lost - before.down.lostInBursts;
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
    backAfterMs: (frames.find(({ at }) => at > mended + 30)?.at ?? Number.NaN) - mended,
    settledAfterMs: settled(delays, mended, median(usual)),
    pictures: new Set(numbers).size / expected,
    complete: video.framesReceived / expected,
    decoded: video.framesDecoded / expected,
    dropped: video.framesDropped,
    packets: video.packetsReceived,
    lostOnLink: lost,
    lost: video.packetsLost,
    nacks: video.nackCount,
    plis: video.pliCount,
    rtx: video.retransmittedPacketsReceived,
    fec: video.fecPacketsReceived ?? 0,
    resentShare: 0,
    concealedMs: (audio.concealedSamples - audio.silentConcealedSamples) / 48,
    connections: seen.connections,
    // The whole entry, for the curious.
    inbound: process.env.NETWORK_RAW ? seen.inbound : undefined,
    worstGaps: gaps.sort((a, b) => b.ms - a.ms).slice(0, 5).map(({ at, ms }) => [Math.round(at - first), Math.round(ms)]),
  };
}

/** From the mending until nearly all pictures come with the usual delay again. */
function settled(delays, mended, usual) {
  const off = delays.filter(({ at, ms }) => at > mended && Math.abs(ms - usual) > 20);
  const strays = Math.ceil(delays.filter(({ at }) => at > mended).length * 0.02);
  return off.length > strays ? off.at(-1 - strays).at - mended : 0;
}
