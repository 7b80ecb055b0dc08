const NAMES: Readonly<Record<string, string>> = {
  h264: "H.264",
  h265: "H.265",
  vp8: "VP8",
  vp9: "VP9",
  av1: "AV1",
  opus: "Opus",
};

/** A codec as people write it. */
export function codecName(codec: string | undefined): string {
  return codec === undefined ? "?" : (NAMES[codec] ?? codec.toUpperCase());
}
