import { unixMs } from "./playbackStats";

/** The header extension in which the server says when a picture was captured. */
const CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

/** What TypeScript does not know yet (WebRTC extensions, "RTP header extension control"). */
interface HeaderExtensionControl {
  getHeaderExtensionsToNegotiate?: () => { uri: string; direction: RTCRtpTransceiverDirection | "stopped" }[];
  setHeaderExtensionsToNegotiate?: (extensions: { uri: string; direction: string }[]) => void;
}

/** Has our offer ask for capture times: Chromium takes them when they are offered, and offers them only when told to. */
export function askForCaptureTimes(transceiver: RTCRtpTransceiver): void {
  const control = transceiver as HeaderExtensionControl;
  try {
    const extensions = control.getHeaderExtensionsToNegotiate?.() ?? [];
    if (!extensions.some(({ uri }) => uri === CAPTURE_TIME)) return;
    const asking = extensions.map(({ uri, direction }) => ({ uri, direction: uri === CAPTURE_TIME ? "sendrecv" : direction }));
    control.setHeaderExtensionsToNegotiate?.(asking);
  } catch {
    // A browser with other rules for this does without.
  }
}

/** A picture on the screen. */
export interface SeenPicture {
  /** When the browser expects it to be seen, on the clock of `performance.now()`. */
  readonly atMs: number;
  /** When it was captured, by the server's clock; since 1970. */
  readonly capturedUnixMs: number;
}

/** What the browser tells of the picture that it delivered last; TypeScript does not know the last two yet. */
export interface NewestPicture {
  readonly rtpTimestamp: number;
  readonly captureTimestamp?: number;
  readonly senderCaptureTimeOffset?: number;
}

/** What `requestVideoFrameCallback` tells of the one on the screen. */
export interface ShownPicture {
  readonly expectedDisplayTime: number;
  readonly rtpTimestamp?: number;
}

/**
 * When the picture on the screen was captured. The browser knows that of the newest one only, which may be a few pictures
 * further; their timestamps say how far. Chromium 156 leaves `captureTime` out of `shown` although it knows. Null: not known.
 */
export function seenPicture(newest: NewestPicture | undefined, shown: ShownPicture): SeenPicture | null {
  const captured = unixMs(newest?.captureTimestamp ?? null);
  if (newest === undefined || captured === null || shown.rtpTimestamp === undefined) return null;
  // Timestamps of 32 bits go round; 90 of them are a millisecond.
  const furtherMs = ((newest.rtpTimestamp - shown.rtpTimestamp) | 0) / 90;
  const capturedUnixMs = captured + (newest.senderCaptureTimeOffset ?? 0) - furtherMs;
  return Math.abs(furtherMs) < FURTHEST_MS ? { atMs: shown.expectedDisplayTime, capturedUnixMs } : null;
}

/** Pictures farther apart are of two streams. */
const FURTHEST_MS = 5_000;
/** Looks at so many pictures: each of them costs the browser a turn. */
const EVERY_MS = 1_000;

/** Tells `onShown` about a picture now and then, until the returned function is called. */
export function followPictures(video: HTMLVideoElement, onShown: (shown: ShownPicture) => void): () => void {
  // Old browsers have none.
  if (!("requestVideoFrameCallback" in video)) return () => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  const look = (): void => {
    video.requestVideoFrameCallback((_now, shown) => {
      if (over) return;
      onShown(shown);
      timer = setTimeout(look, EVERY_MS);
    });
  };
  look();
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
