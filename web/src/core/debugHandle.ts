import type { SessionKeeper } from "./sessionKeeper";
import { targetQuery } from "./target";
import type { ViewerSession } from "./viewerSession";
import type { ViewerSnapshot } from "./viewerSnapshot";

/** What `window.heliograph` offers to tests and to curious people: it can look and not touch. See README.md. */
export interface DebugHandle {
  /** One entry for each stream on this page, in the order in which they were opened. */
  readonly sessions: () => readonly SessionView[];
  /** Shorthand for the first of them. */
  readonly session: SessionView | null;
}

export interface SessionView {
  /** `channel=NAME` or `port=N`. */
  readonly target: string;
  readonly snapshot: ViewerSnapshot;
  /** The figures of the last look, at most a second old. */
  readonly playback: ViewerSession["playback"];
  /** The peer connection of the newest attempt. */
  readonly peer: RTCPeerConnection | null;
  /** Every entry of `RTCPeerConnection.getStats()` as it is now. */
  readonly stats: () => Promise<readonly unknown[]>;
}

export function debugHandle(keeper: SessionKeeper): DebugHandle {
  const sessions = (): SessionView[] => keeper.all().map(view);
  return {
    sessions,
    get session() {
      return sessions()[0] ?? null;
    },
  };
}

function view(session: ViewerSession): SessionView {
  return {
    target: targetQuery(session.target),
    get snapshot() {
      return session.snapshot();
    },
    get playback() {
      return session.playback;
    },
    get peer() {
      return session.peer;
    },
    stats: async () => {
      const report = await session.peer?.getStats();
      const entries: unknown[] = [];
      report?.forEach((entry: unknown) => entries.push(entry));
      return entries;
    },
  };
}
