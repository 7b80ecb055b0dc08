import { ClockSync, type ClockOffset, EXCHANGES } from "./clockSync";

/** A server that is still there answers within this time; else the connection to it is dead and nobody has told us. */
const SIGN_OF_LIFE_MS = 4_000;
/** Between the first questions, until there are as many as count ... */
const EXCHANGE_EVERY_MS = 120;
/** ... and from then on: how late the stream comes to the server is in the answers too, and changes with the publisher's network. */
const WATCH_EVERY_MS = 2_000;
/** Between two questions of somebody who only plays: the answer also says how late the stream comes to the server. */
export const GLANCE_EVERY_MS = 10_000;

/** Asks the server for its clock: again and again while somebody wants to know, or once, to see whether it is still there. */
export class ClockWatch {
  readonly #sync = new ClockSync();
  readonly #nowMs: () => number;
  #ask: ((clientUs: number) => void) | null = null;
  #watchers = 0;
  #askedAtMs = -Infinity;
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #lifeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** How the server's clock stands against ours; null before it was measured. */
  get offset(): ClockOffset | null {
    return this.#sync.offset;
  }

  /** Keeps measuring until the returned function is called. */
  readonly watch = (): (() => void) => {
    this.#watchers += 1;
    if (this.#watchers === 1) this.#measure();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#watchers -= 1;
      if (this.#watchers === 0) clearTimeout(this.#askTimer);
    };
  };

  /** The way to ask, once it is open; null when it is gone, or where there is none. */
  signaling(ask: ((clientUs: number) => void) | null): void {
    clearTimeout(this.#askTimer);
    clearTimeout(this.#lifeTimer);
    this.#ask = ask;
    this.#askedAtMs = -Infinity;
    if (this.#watchers > 0) this.#measure();
  }

  answer(clientUs: number, serverUs: number): void {
    clearTimeout(this.#lifeTimer);
    this.#sync.answer(clientUs, serverUs, this.#nowMs());
  }

  /** Asks once, and calls `onSilence` when no answer comes. */
  verify(onSilence: () => void): void {
    if (!this.#ask) return;
    this.#ask(this.#sync.ask(this.#nowMs()));
    clearTimeout(this.#lifeTimer);
    this.#lifeTimer = setTimeout(onSilence, SIGN_OF_LIFE_MS);
  }

  /** Asks once, unless that was done a moment ago. To be called again and again. */
  glance(): void {
    const nowMs = this.#nowMs();
    if (this.#watchers > 0 || nowMs - this.#askedAtMs < GLANCE_EVERY_MS) return;
    this.#askedAtMs = nowMs;
    this.#ask?.(this.#sync.ask(nowMs));
  }

  /** Quickly at first. */
  #measure(): void {
    clearTimeout(this.#askTimer);
    if (!this.#ask) return;
    this.#sync.begin();
    let asked = 0;
    const exchange = (): void => {
      this.#ask?.(this.#sync.ask(this.#nowMs()));
      asked += 1;
      this.#askTimer = setTimeout(exchange, asked < EXCHANGES ? EXCHANGE_EVERY_MS : WATCH_EVERY_MS);
    };
    exchange();
  }
}
