import type { ChannelState, Layer, PlayoutWish, Uplink } from "./messages";
import type { Cause } from "./viewerState";

/** Our end of the peer connection, as the signaling sees it. Which side offers differs between the ways to signal. */
export interface Negotiator {
  /**
   * Takes the server's offer and hands our answer to `send` as soon as it is known: the server can prepare for us
   * while the browser still does. Nothing is sent when a newer offer has made this one void meanwhile.
   */
  answerTo(offerSdp: string, send: (answerSdp: string) => void): Promise<void>;
  /** Makes our offer. */
  offer(): Promise<string>;
  /** Takes the server's answer to our offer. */
  accept(answerSdp: string): Promise<void>;
  addCandidate(candidate: RTCIceCandidateInit): void;
}

export type SignalEvent =
  /** The server talks to us. */
  | { readonly type: "open" }
  | { readonly type: "viewers"; readonly count: number }
  | { readonly type: "state"; readonly state: ChannelState; readonly name: string | null; readonly layers: readonly Layer[] }
  /** So long the server lets the browser hold pictures back. */
  | { readonly type: "playout"; readonly maxMs: number }
  /** The server's clock, and the moment on ours at which it was asked for. */
  | { readonly type: "clock"; readonly clientUs: number; readonly serverUs: number }
  /** How late the stream is already when it gets to the server; null: not known. */
  | { readonly type: "uplink"; readonly uplink: Uplink | null }
  /** Something is missing, and the session goes on. */
  | { readonly type: "notice"; readonly cause: Cause }
  /** The last event. `final`: trying again would not help. */
  | { readonly type: "closed"; readonly cause: Cause; readonly final: boolean };

/** One signaling session: opened once, closed once or more often. */
export interface SignalClient {
  readonly transport: "websocket" | "whep";
  open(): void;
  /** Tells the server one of our own addresses. */
  sendCandidate(candidate: RTCIceCandidate): void;
  /** Asks the server to let the browser hold pictures back; null: as usual. */
  sendPlayout(wish: PlayoutWish | null): void;
  /** Asks for a layer of the picture; null: as the network permits. */
  sendLayer(rid: string | null): void;
  /** Asks for the server's clock. */
  askClock(clientUs: number): void;
  /** Tells how late the picture is. */
  sendDelay(delayMs: number): void;
  /** Ends the session; no event comes after it. */
  close(): void;
}

export type SignalListener = (event: SignalEvent) => void;
