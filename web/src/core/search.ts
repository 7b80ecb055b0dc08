import type { StreamEntry } from "./messages";

/** The streams whose channel or title has every word of `text` in it, however it is written. */
export function searchStreams(streams: readonly StreamEntry[], text: string): StreamEntry[] {
  const words = plain(text).split(/\s+/).filter((word) => word !== "");
  return streams.filter((stream) => {
    const where = plain([stream.channel, stream.name, stream.port].filter((part) => part !== null).join(" "));
    return words.every((word) => where.includes(word));
  });
}

/** Without the difference between large and small letters, and without marks on them: `Café` is found by `cafe`. */
function plain(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
