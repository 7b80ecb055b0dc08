/** The films of one picture that the server makes of each codec, as browsers are asked about them. Main profiles, 720p. */
const TYPES: Readonly<Record<string, string>> = {
  h264: 'video/mp4; codecs="avc1.4d401f"',
  h265: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  av1: 'video/mp4; codecs="av01.0.05M.08"',
  vp8: 'video/webm; codecs="vp8"',
  vp9: 'video/webm; codecs="vp9"',
};

/** Whether this browser can show a still of what is coded so. */
export function canShowStill(codec: string, video: Pick<HTMLVideoElement, "canPlayType">): boolean {
  const type = TYPES[codec];
  return type !== undefined && video.canPlayType(type) !== "";
}
