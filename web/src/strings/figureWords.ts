import type { Figures } from "../core/figures";
import type { Transport } from "../core/transportChoice";
import type { Catalogue } from "./en";

export interface FigureRow {
  readonly name: string;
  readonly value: string;
  /** What has to be known about it. */
  readonly note?: string;
}

/** The figures as lines of words, in the order in which people ask for them. */
export function figureRows(figures: Figures, transport: Transport | null, strings: Catalogue): FigureRow[] {
  const words = strings.figures;
  const { rows } = words;
  const say = <T>(value: T | null, how: (value: T) => string): string => (value === null ? words.unknown : how(value));
  const { width, height, fps, delaySource, uplinkBasis, clockWithinMs } = figures;
  const basis = uplinkBasis ?? "none";
  return [
    {
      name: rows.delay,
      value: say(figures.delayMs, words.ms),
      ...(delaySource === null ? {} : { note: words.delayFrom[delaySource === "parts" ? "parts" : "clocks"][basis] }),
    },
    { name: rows.uplink[basis], value: say(figures.uplinkMs, words.ms), note: words.uplinkFrom[basis] },
    { name: rows.network, value: say(figures.networkMs, words.tenths) },
    { name: rows.buffer, value: say(figures.bufferMs, words.ms) },
    { name: rows.decode, value: say(figures.decodeMs, words.tenths) },
    { name: rows.roundTrip, value: say(figures.roundTripMs, words.tenths) },
    { name: rows.loss, value: `${say(figures.lossPercent, words.percent)} (${words.packets(figures.lost)})` },
    { name: rows.recovered, value: words.packets(figures.recovered) },
    { name: rows.freezes, value: words.times(figures.freezes, figures.freezeMs / 1000) },
    { name: rows.bitrate, value: say(figures.bitrateMbit, words.bitrate) },
    { name: rows.picture, value: width !== null && height !== null ? words.picture(width, height, fps) : words.unknown },
    { name: rows.codec, value: figures.codecs.length === 0 ? words.unknown : figures.codecs.join(", ") },
    { name: rows.encryption, value: figures.srtpCipher ?? words.unknown },
    { name: rows.path, value: figures.path ?? words.unknown },
    { name: rows.transport, value: transport === "whep" ? "WHEP" : transport === "websocket" ? "WebSocket" : words.unknown },
    { name: rows.clock, value: say(clockWithinMs, words.within) },
  ];
}

/** The same to take along. */
export function figureText(title: string, rows: readonly FigureRow[]): string {
  return [title, ...rows.map(({ name, value, note }) => `${name}: ${value}${note === undefined ? "" : ` (${note})`}`)].join("\n");
}
