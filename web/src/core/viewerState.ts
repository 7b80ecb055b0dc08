import type { ChannelState } from "./messages";
import type { MissingMedia } from "./missingMedia";

/** How far a connection attempt has come. */
export type Step =
  /** Asking the server. */
  | "reaching"
  /** The server has answered; both sides agree on codecs and addresses. */
  | "negotiating"
  /** Finding a way through the network and agreeing on keys. */
  | "joining";

/** Why something did not work. Each has its own sentence in the strings. */
export type CauseCode =
  /** No answer from the server at all. */
  | "unreachable"
  /** The WebSocket was refused; browsers do not tell pages why. */
  | "socket-refused"
  /** The connection to the server broke off. */
  | "socket-lost"
  /** Media never came through: most often a firewall that lets no UDP pass. */
  | "path-blocked"
  /** Media came through and stopped: another network, a sleeping computer. */
  | "path-lost"
  /** There is no such stream now. */
  | "no-stream"
  /** The streamer has finished. */
  | "ended"
  /** The server has as many viewers as it takes. */
  | "full"
  /** The browser could make nothing of the server's description, or the other way round; `detail` has its words. */
  | "description"
  /** This browser cannot play what is sent. */
  | "codec"
  | "not-allowed"
  /** The server is being shut down or restarted. */
  | "server-closing"
  /** This browser has no WebRTC, or it is switched off. */
  | "no-webrtc"
  /** Anything else; `detail` has the server's words. */
  | "other";

export interface Cause {
  readonly code: CauseCode;
  /** The server's own sentence. */
  readonly detail?: string;
  /** Where the server wanted to be reached, for whoever looks after the network: `203.0.113.5:20000`. */
  readonly addresses?: readonly string[];
  /** What this browser cannot play, where that is known. */
  readonly missing?: readonly MissingMedia[];
}

/** Why pictures have stopped while the connection is there. */
export type StallReason =
  /** Nothing arrives. */
  | "network"
  /** Packets arrive, and too many are missing. */
  | "loss"
  /** Whole pictures arrive, and none or only a few of them are decoded. */
  | "device";

/** What a viewer's screen shows. One at a time: impossible mixes cannot be written. */
export type ViewerState =
  | { readonly kind: "idle" }
  /** `after`: what keeps going wrong, where it takes so long to find out that people should know meanwhile. */
  | { readonly kind: "connecting"; readonly step: Step; readonly attempt: number; readonly after?: Cause }
  /** Connected, and no picture yet. */
  | { readonly kind: "waiting" }
  /** Nobody is streaming; playback starts by itself when somebody does. `ended`: it was on until just now. */
  | { readonly kind: "offline"; readonly ended: boolean }
  | { readonly kind: "live" }
  /** The streamer's line broke; the connection stays and the picture resumes by itself. */
  | { readonly kind: "away" }
  /** Connected, and pictures have stopped coming. */
  | { readonly kind: "stalled"; readonly sinceMs: number; readonly reason: StallReason }
  /** Pictures come, and the browser waits for a click before it shows them. */
  | { readonly kind: "autoplay-blocked" }
  | { readonly kind: "retrying"; readonly inMs: number; readonly attempt: number; readonly cause: Cause }
  /** Trying again would not help. */
  | { readonly kind: "failed"; readonly cause: Cause };

export type ViewerEvent =
  /** An attempt begins; the first one is number 1. */
  | { readonly type: "attempt"; readonly attempt: number }
  | { readonly type: "step"; readonly step: Step }
  /** Media can flow. */
  | { readonly type: "joined" }
  /** The server's word about the streamer. */
  | { readonly type: "server"; readonly state: ChannelState }
  /** Pictures are moving; `blocked`: the browser does not show them before the viewer asks for it. */
  | { readonly type: "picture"; readonly blocked: boolean }
  | { readonly type: "stalled"; readonly atMs: number; readonly reason: StallReason }
  /** The connection is gone; the next attempt begins in `inMs`. */
  | { readonly type: "lost"; readonly cause: Cause; readonly inMs: number; readonly attempt: number }
  | { readonly type: "gave-up"; readonly cause: Cause }
  | { readonly type: "closed" };

export const IDLE: ViewerState = { kind: "idle" };

/** The state after `event`. Events that mean nothing in a state leave it alone: replies may come late. */
export function next(state: ViewerState, event: ViewerEvent): ViewerState {
  if (event.type === "closed") return IDLE;
  if (event.type === "gave-up") return { kind: "failed", cause: event.cause };
  if (event.type === "attempt") {
    // Asking again whether somebody streams by now is no news to anyone who waits.
    return state.kind === "offline" ? state : { kind: "connecting", step: "reaching", attempt: event.attempt, ...after(state) };
  }
  if (state.kind === "idle" || state.kind === "failed") return state;

  switch (event.type) {
    case "step":
      return onStep(state, event.step);
    case "joined":
      return state.kind === "connecting" ? { kind: "waiting" } : state;
    case "server":
      return onServer(state, event.state);
    case "picture":
      // Single pictures still come out of the jitter buffer after the streamer's line broke.
      if (state.kind === "away" || state.kind === "offline") return state;
      return event.blocked ? { kind: "autoplay-blocked" } : { kind: "live" };
    case "stalled": {
      const { atMs: sinceMs, reason } = event;
      if (state.kind === "live") return { kind: "stalled", sinceMs, reason };
      // The reason may change while it lasts; the beginning does not.
      return state.kind === "stalled" && state.reason !== reason ? { ...state, reason } : state;
    }
    case "lost":
      return onLost(state, event);
  }
}

function onStep(state: ViewerState, step: Step): ViewerState {
  const attempt = state.kind === "connecting" ? state.attempt : 1;
  // The server talks to those who wait for a stream as well; only an offer means that it begins.
  if (state.kind === "offline" && step !== "joining") return state;
  return { kind: "connecting", step, attempt, ...after(state) };
}

/** A blocked network shows after many seconds each time, and it is not the network of somebody who had pictures. */
function after(state: ViewerState): { readonly after?: Cause } {
  if (state.kind === "connecting" && state.after) return { after: state.after };
  return state.kind === "retrying" && state.cause.code === "path-blocked" ? { after: state.cause } : {};
}

function onServer(state: ViewerState, server: ChannelState): ViewerState {
  switch (server) {
    case "offline":
      return state.kind === "offline" ? state : { kind: "offline", ended: hasSeenPictures(state) };
    case "away":
      return { kind: "away" };
    case "waiting":
      return { kind: "waiting" };
    case "live":
      return state.kind === "away" || state.kind === "offline" ? { kind: "waiting" } : state;
  }
}

function onLost(state: ViewerState, event: Extract<ViewerEvent, { type: "lost" }>): ViewerState {
  const { cause, inMs, attempt } = event;
  if (cause.code === "ended") return { kind: "offline", ended: true };
  if (cause.code === "no-stream") {
    return state.kind === "offline" ? state : { kind: "offline", ended: hasSeenPictures(state) };
  }
  // A server refuses the socket of a stream that is over: the wait goes on.
  if (cause.code === "socket-refused" && state.kind === "offline") return state;
  return { kind: "retrying", inMs, attempt, cause };
}

function hasSeenPictures(state: ViewerState): boolean {
  return state.kind === "live" || state.kind === "away" || state.kind === "stalled" || state.kind === "autoplay-blocked";
}
