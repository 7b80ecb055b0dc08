import { DEFAULT_LATENCY, isLatencyMode, type LatencyMode } from "./latency";
import { Observable } from "./observable";

const KEY = "heliograph.latency";

/** The part of `window.localStorage` that matters here. */
export type Shelf = Pick<Storage, "getItem" | "setItem">;

/** What this viewer has chosen, remembered where the browser lets us; every session of the page follows it. */
export class LatencyChoice {
  readonly #shelf: () => Shelf;
  readonly #mode: Observable<LatencyMode>;

  /** `shelf` may throw: some browsers keep even the name of the storage from pages. */
  constructor(shelf: () => Shelf) {
    this.#shelf = shelf;
    this.#mode = new Observable(this.#remembered());
  }

  readonly snapshot = (): LatencyMode => this.#mode.snapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#mode.subscribe(listener);

  readonly choose = (mode: LatencyMode): void => {
    this.#mode.set(mode);
    try {
      this.#shelf().setItem(KEY, mode);
    } catch {
      // Full, or forbidden: then it holds for this page.
    }
  };

  #remembered(): LatencyMode {
    try {
      const value = this.#shelf().getItem(KEY);
      return isLatencyMode(value) ? value : DEFAULT_LATENCY;
    } catch {
      return DEFAULT_LATENCY;
    }
  }
}
