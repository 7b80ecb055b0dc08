import { type JitterTargets, jitterTargets, type LatencyMode, playoutWish, USUAL_LIMIT_MS } from "./latency";
import type { PlayoutWish } from "./messages";
import { readPlayback } from "./playbackStats";

/**
 * A new delay is reached in steps, up and down: browsers take it over at once for pictures, and a jump of half a
 * second is half a second of standstill, or a heap of pictures at once. So pictures run a fifth slower or faster for
 * a while.
 */
const STEP_MS = 20;
/**
 * The same where sound goes the same way: Chromium stretches it by 80 to 90 ms a second. Pictures that took the larger steps
 * were up to half a second away from it for as long.
 */
const STEP_WITH_SOUND_MS = 10;
const STEP_EVERY_MS = 100;
/** The first step of a connection may be this large: one picture stays twice as long. */
const FIRST_STEP_MS = 60;
/**
 * A server sends whoever joins the past since the last keyframe, much faster than live. Held back, those pictures would
 * be thrown away, so we begin when no more than so many of them come in a second, or after a while in any case.
 */
const LIVE_PICTURES_PER_S = 100;
const LOOK_EVERY_MS = 50;
const LOOKS = 40;

/**
 * Carries the viewer's choice of a delay to the browser and to the server. It outlives attempts and peer connections:
 * each of them is told anew.
 */
export class PlayoutControl {
  #mode: LatencyMode;
  readonly #restMs: number | null;
  /** What the server allows; of a server that does not answer, the usual. */
  #limitMs = USUAL_LIMIT_MS;
  #send: ((wish: PlayoutWish | null) => void) | null = null;
  #sent: PlayoutWish | null = null;
  #peer: RTCPeerConnection | null = null;
  #pictured = false;
  #recoveryMs: number | null = null;
  /** What came before the present is behind us. */
  #live = false;
  /** What the peer connection has been told. */
  #now: JitterTargets = NOTHING;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `restMs`: what is asked for pictures that are no longer to be held back; null: nothing. */
  constructor(mode: LatencyMode, restMs: number | null = null) {
    this.#mode = mode;
    this.#restMs = restMs;
  }

  /** What to ask for when a wish can only be made at the beginning. */
  get wish(): PlayoutWish | null {
    return playoutWish(this.#mode);
  }

  set mode(mode: LatencyMode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    // What the server no longer allows browsers drop at once. So less is asked for when we are there.
    const isMore = (this.wish?.max_ms ?? 0) > (this.#sent?.max_ms ?? 0);
    if (isMore || !this.#live) this.#ask();
    this.#approach();
  }

  /** How long pictures have to be held back for packets that come at the second try; null: no longer than usual. */
  set recoveryMs(recoveryMs: number | null) {
    if (recoveryMs === this.#recoveryMs) return;
    this.#recoveryMs = recoveryMs;
    this.#approach();
  }

  /** A new signaling session, which was `asked` for something when it began. `send` is null where wishes cannot be changed later. */
  signaling(send: ((wish: PlayoutWish | null) => void) | null, asked: PlayoutWish | null = null): void {
    this.#limitMs = USUAL_LIMIT_MS;
    this.#sent = asked;
    this.#send = send;
    this.#ask();
  }

  /** The server says what it allows now. */
  allowed(maxMs: number): void {
    this.#limitMs = maxMs;
    this.#approach();
  }

  /** A new peer connection, which has no picture yet; null: none any more. */
  playing(peer: RTCPeerConnection | null): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#peer = peer;
    this.#pictured = false;
    this.#live = false;
    this.#recoveryMs = null;
    this.#now = NOTHING;
  }

  /** The first picture has been shown, or one more. */
  pictured(): void {
    if (this.#pictured) return;
    this.#pictured = true;
    void this.#awaitLive(this.#peer);
  }

  async #awaitLive(peer: RTCPeerConnection | null): Promise<void> {
    let before = await decodedPictures(peer);
    for (let look = 0; look < LOOKS; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (this.#peer !== peer) return;
      const after = await decodedPictures(peer);
      if (after - before < (LIVE_PICTURES_PER_S * LOOK_EVERY_MS) / 1000) break;
      before = after;
    }
    if (this.#peer !== peer) return;
    this.#live = true;
    this.#approach();
  }

  #ask(): void {
    const wish = this.wish;
    if (!this.#send || wish?.max_ms === this.#sent?.max_ms) return;
    this.#sent = wish;
    this.#send(wish);
  }

  /** One step towards what is wanted, and more of them later. The first picture is shown at once in every mode. */
  #approach(): void {
    if (!this.#live || this.#timer !== undefined) return;
    const goal = jitterTargets(this.#mode, this.#limitMs, this.#recoveryMs);
    const withSound = goal.audioMs !== null || this.#now.audioMs !== null;
    const mostMs = this.#now === NOTHING ? FIRST_STEP_MS : withSound ? STEP_WITH_SOUND_MS : STEP_MS;
    const next = {
      videoMs: step(this.#now.videoMs, goal.videoMs ?? (this.#now.videoMs === null ? null : this.#restMs), mostMs),
      audioMs: step(this.#now.audioMs, goal.audioMs, mostMs),
    };
    if (next.videoMs === this.#now.videoMs && next.audioMs === this.#now.audioMs) {
      this.#ask();
      return;
    }
    this.#now = next;
    for (const receiver of this.#peer?.getReceivers() ?? []) {
      // Old browsers have no such thing, and nothing comes of it.
      receiver.jitterBufferTarget = receiver.track.kind === "video" ? next.videoMs : next.audioMs;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#approach();
    }, STEP_EVERY_MS);
  }
}

const NOTHING: JitterTargets = { videoMs: null, audioMs: null };

function step(fromMs: number | null, toMs: number | null, mostMs: number): number | null {
  const way = (toMs ?? 0) - (fromMs ?? 0);
  if (Math.abs(way) <= mostMs) return toMs;
  return (fromMs ?? 0) + Math.sign(way) * mostMs;
}

async function decodedPictures(peer: RTCPeerConnection | null): Promise<number> {
  const report = await peer?.getStats().catch(() => null);
  // TypeScript knows the report as a map of `any`.
  const playback = report ? readPlayback(report as Iterable<readonly [string, unknown]>, 0) : null;
  return playback?.video?.framesDecoded ?? 0;
}
