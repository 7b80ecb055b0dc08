/** A medium whose format this browser lacks. */
export interface MissingMedia {
  readonly kind: "video" | "audio";
  /** As in the list of streams: `h264`. */
  readonly codec: string;
}

/** The formats of a kind of media that this browser plays, in small letters: `h264`; null where it does not tell. */
export type Playable = (kind: MissingMedia["kind"]) => ReadonlySet<string> | null;

/** Formats that only help others. */
const HELPERS = new Set(["rtx", "red", "ulpfec", "flexfec-03"]);

/** What the browser says of itself. */
export function playableBy(receiver: Pick<typeof RTCRtpReceiver, "getCapabilities"> | undefined): Playable {
  return (kind) => {
    const codecs = receiver?.getCapabilities(kind)?.codecs;
    return codecs ? new Set(codecs.map(({ mimeType }) => mimeType.replace(/^\w+\//, "").toLowerCase())) : null;
  };
}

/**
 * What of an offer this browser cannot play, and the offer as it can take the rest. Firefox connects nothing at all when it
 * has to refuse the section that carries the whole bundle (RFC 8843 section 7.2.1), so sections that it will refuse are
 * taken out of that.
 */
export function fitOffer(offer: string, playable: Playable): { readonly sdp: string; readonly missing: readonly MissingMedia[] } {
  const sections = offer.split(/^(?=m=)/m).slice(1).map(readSection);
  const refused = sections.filter(({ kind, codecs }) => {
    const known = kind === null ? null : playable(kind);
    return known !== null && codecs.length > 0 && !codecs.some((codec) => known.has(codec));
  });
  const missing = refused.flatMap(({ kind, codecs: [codec] }) => (kind === null || codec === undefined ? [] : [{ kind, codec }]));
  if (refused.length === 0 || refused.length === sections.length) return { sdp: offer, missing };
  const sdp = offer.replace(/^a=group:BUNDLE .*$/m, (line) =>
    line.split(" ").filter((mid) => !refused.some((section) => section.mid === mid)).join(" "),
  );
  return { sdp, missing };
}

function readSection(section: string): { kind: MissingMedia["kind"] | null; mid: string | undefined; codecs: string[] } {
  const [, kind] = /^m=(\w+)/.exec(section) ?? [];
  const [, mid] = /^a=mid:(\S+)/m.exec(section) ?? [];
  const codecs = [...section.matchAll(/^a=rtpmap:\d+ ([^/\s]+)/gm)].flatMap(([, name]) => name?.toLowerCase() ?? []);
  return { kind: kind === "video" || kind === "audio" ? kind : null, mid, codecs: codecs.filter((codec) => !HELPERS.has(codec)) };
}
