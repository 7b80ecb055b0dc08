// From what the probe saw to figures, and from figures to a table.

export function median(values) {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** For each flash, the nearest beep; positive when the sound comes late. `beeps`: as heard through the audio graph. */
export function skews({ flashes }, beeps) {
  return flashes
    .map((flash) => beeps.map((beep) => beep - flash).sort((a, b) => Math.abs(a) - Math.abs(b))[0])
    .filter((skew) => skew !== undefined && Math.abs(skew) < 400);
}

/**
 * The delay around each picture: the median of five. A screen shows pictures every 17 ms, so each of them by itself comes up
 * to one or two of those sooner or later.
 */
export function levelOf(delays) {
  return delays.map(({ at }, index) => ({ at, ms: median(delays.slice(Math.max(0, index - 2), index + 3).map((delay) => delay.ms)) }));
}

/** What one visit showed. */
export function figuresOf(seen, publisher) {
  const stamped = seen.frames.filter((frame) => frame.stamp);
  const delays = stamped.map((frame) => ({ at: frame.at, ms: frame.wall - frame.stamp.wallMs }));
  const last = delays.at(-1)?.at ?? 0;
  const steady = median(delays.filter((delay) => delay.at > last - 1500).map((delay) => delay.ms));
  const first = seen.frames[0]?.at ?? Number.NaN;
  // Settled: from then on the delay is within 20 ms of the steady state.
  const off = levelOf(delays).filter((delay) => Math.abs(delay.ms - steady) > 20 && delay.at - first < 6000);
  const strays = Math.ceil(delays.length * 0.02);
  const settledAt = off.length > strays ? off.at(-1 - strays).at : first;
  const numbers = stamped.map((frame) => frame.stamp.number);
  const { video, audio } = seen.inbound;
  const heard = skews(seen, seen.beeps);
  return {
    phase: publisher.phaseAt(seen.signaling?.wall ?? Number.NaN),
    connectedMs: (seen.connected ?? Number.NaN) - (seen.signaling?.at ?? Number.NaN),
    firstPictureMs: first - (seen.signaling?.at ?? Number.NaN),
    openToPictureMs: first - seen.opened,
    glassToGlassMs: steady,
    glassToGlassP95Ms: percentile(delays.filter((delay) => delay.at > last - 1500).map((delay) => delay.ms), 0.95),
    settleMs: settledAt - first,
    skewMs: median(heard.slice(2)),
    skewCount: heard.length,
    firstSkewMs: median(heard.slice(0, 2)),
    lastSkewMs: median(heard.slice(-5)),
    emittedSkewMs: median(skews(seen, seen.emitted).slice(2)),
    pictures: seen.frames.length,
    readable: stamped.length / Math.max(1, seen.frames.length),
    different: new Set(numbers).size,
    lost: (video?.packetsLost ?? Number.NaN) + (audio?.packetsLost ?? Number.NaN),
    freezes: video?.freezeCount ?? Number.NaN,
    dropped: video?.framesDropped ?? Number.NaN,
    nacks: video?.nackCount ?? Number.NaN,
    plis: video?.pliCount ?? Number.NaN,
    energy: seen.energy,
    samples: audio?.totalSamplesReceived ?? 0,
    connections: seen.connections,
  };
}

const COLUMNS = [
  ["visit", (row) => row.name],
  ["joined at", (row) => `${Math.round(row.phase * 100)} %`],
  ["signaling to connected", (row) => ms(row.connectedMs)],
  ["to picture", (row) => ms(row.firstPictureMs)],
  ["page to picture", (row) => ms(row.openToPictureMs)],
  ["glass to glass", (row) => ms(row.glassToGlassMs)],
  ["p95", (row) => ms(row.glassToGlassP95Ms)],
  ["settled after", (row) => ms(row.settleMs)],
  ["sound after picture", (row) => `${ms(row.skewMs)} (${row.skewCount})`],
  ["lost", (row) => row.lost],
  ["freezes", (row) => row.freezes],
  ["dropped", (row) => row.dropped],
  ["nack/pli", (row) => `${row.nacks}/${row.plis}`],
];

const ms = (value) => (Number.isFinite(value) ? `${Math.round(value)} ms` : "-");

export const printTable = (title, rows) => printColumns(title, COLUMNS, rows);

/** A table; a column is its name and what it shows of a row. */
export function printColumns(title, columns, rows) {
  const cells = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, show]) => String(show(row))))];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  console.log([`\n${title}`, ...lines, ""].join("\n"));
}
