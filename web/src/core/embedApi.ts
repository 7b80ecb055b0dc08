import { isLatencyMode, type LatencyMode } from "./latency";
import type { ViewerState } from "./viewerState";

/** What a page may ask of the player that it has in a frame. docs/embedding.md explains it. */
export type EmbedCommand =
  | { readonly command: "play" | "pause" | "mute" | "unmute" | "status" }
  | { readonly command: "volume"; readonly value: number }
  | { readonly command: "latency"; readonly value: LatencyMode };

/** What the player tells that page. */
export interface EmbedStatus {
  readonly from: "heliograph";
  readonly type: "status";
  readonly channel: string;
  /** A state of `ViewerState`. */
  readonly state: ViewerState["kind"];
  /** More about it: the step of connecting, the reason of a standstill, the cause of a failure. */
  readonly detail: string | null;
  readonly viewers: number | null;
  readonly muted: boolean;
  readonly volume: number;
  readonly paused: boolean;
}

/** The command in a message from the page around us; null for everything else that pages say to each other. */
export function embedCommand(data: unknown): EmbedCommand | null {
  if (typeof data !== "object" || data === null) return null;
  const { to, command, value } = data as Readonly<Record<string, unknown>>;
  if (to !== "heliograph") return null;
  switch (command) {
    case "play":
    case "pause":
    case "mute":
    case "unmute":
    case "status":
      return { command };
    case "volume":
      return typeof value === "number" && value >= 0 && value <= 1 ? { command, value } : null;
    case "latency":
      return isLatencyMode(value) ? { command, value } : null;
    default:
      return null;
  }
}

export function stateDetail(state: ViewerState): string | null {
  switch (state.kind) {
    case "connecting":
      return state.step;
    case "stalled":
      return state.reason;
    case "offline":
      return state.ended ? "ended" : null;
    case "retrying":
    case "failed":
      return state.cause.code;
    case "idle":
    case "waiting":
    case "live":
    case "away":
    case "autoplay-blocked":
      return null;
  }
}
