/** How the server's clock stands against ours. */
export interface ClockOffset {
  /** What has to be added to `performance.now()` to get the server's milliseconds since 1970. */
  readonly offsetMs: number;
  /** It can be wrong by so much at most: half of the exchange's round trip. */
  readonly withinMs: number;
}

/**
 * Of so many exchanges in a row the fastest one counts: what held it up the least tells the most. Older ones do not, since
 * clocks drift apart by some milliseconds an hour.
 */
export const EXCHANGES = 8;

/**
 * Learns the offset of the server's clock from questions and answers, as NTP does (RFC 5905 section 8): the answer was
 * written somewhere between asking and hearing, so the middle is wrong by half of the round trip at most.
 */
export class ClockSync {
  readonly #asked = new Set<number>();
  #newest: ClockOffset[] = [];
  #best: ClockOffset | null = null;

  get offset(): ClockOffset | null {
    return this.#best;
  }

  /** What to ask now: the moment on our own clock, in whole microseconds. */
  ask(nowMs: number): number {
    const clientUs = Math.round(nowMs * 1000);
    this.#asked.add(clientUs);
    // Answers that never come are forgotten.
    const [oldest] = this.#asked;
    if (this.#asked.size > 2 * EXCHANGES && oldest !== undefined) this.#asked.delete(oldest);
    return clientUs;
  }

  /** Takes an answer; false when nobody had asked for it. */
  answer(clientUs: number, serverUs: number, nowMs: number): boolean {
    if (!this.#asked.delete(clientUs)) return false;
    const askedMs = clientUs / 1000;
    const withinMs = Math.max(0, nowMs - askedMs) / 2;
    this.#newest.push({ offsetMs: serverUs / 1000 - (askedMs + nowMs) / 2, withinMs });
    if (this.#newest.length > EXCHANGES) this.#newest.shift();
    this.#best = this.#newest.reduce((best, one) => (one.withinMs < best.withinMs ? one : best));
    return true;
  }

  /** Begins anew: older answers count no more once the first new one is here. */
  begin(): void {
    this.#asked.clear();
    this.#newest = [];
  }
}
