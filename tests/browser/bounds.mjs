// What we aim at, and what cannot be right. Tests fail on the second only: a busy machine is no fault of the server.
export const bounds = {
  /** From the first signaling message to the first picture. */
  firstPictureMs: { goal: 150, nonsense: 1500 },
  /** From opening the page to the first picture. */
  openToPictureMs: { goal: 500, nonsense: 5000 },
  /** Sound against picture, either way, from the third second on; the median. */
  skewMs: { goal: 50, nonsense: 120 },
  /** How far from what smooth aims at pictures and sound are held back; and how much it must change at least. */
  smoothMs: { goal: 150, nonsense: 100 },
  /** From drawing a picture to seeing it, once settled; the median. */
  glassToGlassMs: { goal: 100, nonsense: 1000 },
  /** The same for publishers whose sound and pictures wait for each other in ffmpeg; SRT: its latency of 120 ms, and 150. */
  containerGlassToGlassMs: { rtmp: { goal: 250 }, srt: { goal: 270 } },
  /** The same for programs that nobody here has written: GStreamer, aiortc and ffmpeg. */
  foreignGlassToGlassMs: { whip: { goal: 100 }, rtmp: { goal: 250 }, rtmps: { goal: 250 }, srt: { goal: 270 }, rtp: { goal: 100 }, nonsense: 2000 },
  /** How far the page's figure for the delay may be from the true one, once the way to the server is slow. */
  delayFigureMs: { goal: 60, nonsense: 200 },
  /** The same as at first, right after a publisher came back; 95 of 100 pictures. */
  resumedMs: { goal: 150, nonsense: 400 },
  /** From the first picture until the delay stays within 20 ms of the settled one. */
  settleMs: { short: { goal: 300 }, long: { goal: 1000 }, nonsense: 8000 },
  /** Without a picture while the viewer is moved from one layer to another. */
  layerGapMs: { goal: 300, nonsense: 2000 },
};
