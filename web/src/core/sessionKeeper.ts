import { type Target, targetQuery } from "./target";
import type { ViewerSession } from "./viewerSession";

/**
 * Owns the sessions of the page, one for each target. A session begins before the page is drawn, and drawing
 * may look at it, let go of it and come back within the same moment; it ends when nobody has held it for longer.
 */
export class SessionKeeper {
  readonly #make: (target: Target) => ViewerSession;
  readonly #kept = new Map<string, Kept>();

  constructor(make: (target: Target) => ViewerSession) {
    this.#make = make;
  }

  /** The session for `target`, made when there is none. Not started yet. */
  session(target: Target): ViewerSession {
    return this.#keep(target).session;
  }

  /** Starts the session for `target` ahead of the page that will hold it. */
  prestart(target: Target): void {
    this.session(target).start();
  }

  /** Starts the session and keeps it going until the returned function is called. */
  hold(target: Target): () => void {
    const kept = this.#keep(target);
    kept.holders += 1;
    clearTimeout(kept.closing);
    kept.session.start();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      kept.holders -= 1;
      if (kept.holders > 0) return;
      kept.closing = setTimeout(() => {
        kept.session.close();
        const key = targetQuery(target);
        if (this.#kept.get(key) === kept) this.#kept.delete(key);
      }, 0);
    };
  }

  all(): ViewerSession[] {
    return [...this.#kept.values()].map((kept) => kept.session);
  }

  /** The network is back, or the computer woke up: nobody should sit out a delay. */
  nudge(): void {
    for (const session of this.all()) session.nudge();
  }

  /** The computer woke up, or the network is another one. */
  verify(): void {
    for (const session of this.all()) session.verify();
  }

  /** The page is put away: the server should not send to nobody. */
  suspend(): void {
    for (const session of this.all()) session.close();
  }

  /** The page is back as it was. */
  resume(): void {
    for (const kept of this.#kept.values()) if (kept.holders > 0) kept.session.start();
  }

  #keep(target: Target): Kept {
    const key = targetQuery(target);
    const known = this.#kept.get(key);
    if (known) return known;
    const kept: Kept = { session: this.#make(target), holders: 0, closing: undefined };
    this.#kept.set(key, kept);
    return kept;
  }
}

interface Kept {
  readonly session: ViewerSession;
  holders: number;
  closing: ReturnType<typeof setTimeout> | undefined;
}
