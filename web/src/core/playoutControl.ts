import { type JitterTargets, jitterTargets, type LatencyMode, type PlayoutWish, playoutWish, USUAL_LIMIT_MS } from "./latency";

/**
 * A new delay is reached in steps, up and down: browsers take it over at once for pictures, and a jump of half a
 * second is half a second of standstill, or a heap of pictures at once. So pictures run a fifth slower or faster for
 * a while, which sound can follow by being stretched.
 */
const STEP_MS = 20;
const STEP_EVERY_MS = 100;

/**
 * Carries the viewer's choice of a delay to the browser and to the server. It outlives attempts and peer connections:
 * each of them is told anew.
 */
export class PlayoutControl {
  #mode: LatencyMode;
  /** What the server allows; of a server that does not answer, the usual. */
  #limitMs = USUAL_LIMIT_MS;
  #send: ((wish: PlayoutWish | null) => void) | null = null;
  #sent: PlayoutWish | null = null;
  #peer: RTCPeerConnection | null = null;
  #pictured = false;
  /** What the peer connection has been told. */
  #now: JitterTargets = NOTHING;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(mode: LatencyMode) {
    this.#mode = mode;
  }

  /** What to ask for when a wish can only be made at the beginning. */
  get wish(): PlayoutWish | null {
    return playoutWish(this.#mode);
  }

  set mode(mode: LatencyMode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#ask();
    this.#approach();
  }

  /** A new signaling session. `send` is null where wishes cannot be changed later. */
  signaling(send: ((wish: PlayoutWish | null) => void) | null): void {
    this.#limitMs = USUAL_LIMIT_MS;
    this.#sent = null;
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
    this.#now = NOTHING;
  }

  /** The first picture has been shown, or one more. */
  pictured(): void {
    if (this.#pictured) return;
    this.#pictured = true;
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
    if (!this.#pictured || this.#timer !== undefined) return;
    const goal = jitterTargets(this.#mode, this.#limitMs);
    const next = { videoMs: step(this.#now.videoMs, goal.videoMs), audioMs: step(this.#now.audioMs, goal.audioMs) };
    if (next.videoMs === this.#now.videoMs && next.audioMs === this.#now.audioMs) return;
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

function step(fromMs: number | null, toMs: number | null): number | null {
  const way = (toMs ?? 0) - (fromMs ?? 0);
  if (Math.abs(way) <= STEP_MS) return toMs;
  return (fromMs ?? 0) + Math.sign(way) * STEP_MS;
}
