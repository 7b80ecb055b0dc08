import { vi } from "vitest";
import type { Endpoints } from "../core/config";
import { endpointsFrom } from "../core/config";
import type { LatencyMode } from "../core/latency";
import { Observable } from "../core/observable";
import { type SessionParts, ViewerSession } from "../core/viewerSession";
import type { Target } from "../core/target";

/** A WebSocket whose far side is the test. */
export class FakeSocket {
  readyState = 0;
  readonly sent: { event: string; data: Record<string, unknown> }[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as FakeSocket["sent"][number]);
  }

  close(): void {
    this.readyState = 3;
  }

  /** The server accepts. */
  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  /** The server says something. */
  say(event: string, data: unknown): void {
    this.onmessage?.({ data: JSON.stringify({ event, data }) });
  }

  /** The connection ends from the far side. */
  drop(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  get answers(): unknown[] {
    return this.sent.filter((message) => message.event === "answer").map((message) => message.data["sdp"]);
  }
}

/** A MediaStream as far as the session looks at it. */
export function fakeStream(kinds: readonly ("video" | "audio")[] = ["video", "audio"]): MediaStream {
  const tracks = kinds.map((kind) => ({ kind, readyState: "live" }));
  const getVideoTracks = () => tracks.filter((track) => track.kind === "video");
  return Object.assign(new MediaStream(), { getVideoTracks });
}

/** A peer connection that agrees to everything and plays what the test says. */
export class FakePeer {
  connectionState: RTCPeerConnectionState = "new";
  ontrack: ((event: { track: unknown; streams: MediaStream[] }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
  remoteDescriptions: string[] = [];
  localDescriptions: string[] = [];
  candidates: unknown[] = [];
  transceivers: string[] = [];
  closed = 0;
  framesDecoded = 0;
  pathFound = false;
  stream = fakeStream();
  readonly receivers = ["audio", "video"].map((kind) => ({
    track: { kind },
    jitterBufferTarget: null as number | null,
    getSynchronizationSources: () => [],
  }));

  /** There is a way through the network as soon as the test says so, or that keys are agreed on. */
  get iceConnectionState(): RTCIceConnectionState {
    if (this.pathFound || this.connectionState === "connected") return "connected";
    return this.connectionState === "new" ? "new" : "checking";
  }

  getReceivers() {
    return this.receivers;
  }

  /** What was asked for, picture and sound. */
  get targets(): (number | null | undefined)[] {
    return ["video", "audio"].map((kind) => this.receivers.find((one) => one.track.kind === kind)?.jitterBufferTarget);
  }

  addTransceiver(kind: string): void {
    this.transceivers.push(kind);
  }

  setRemoteDescription(description: { sdp: string }): Promise<void> {
    if (this.closed > 0) return Promise.reject(new Error("closed"));
    if (description.sdp.includes("nonsense")) return Promise.reject(new Error("nonsense in the description"));
    this.remoteDescriptions.push(description.sdp);
    this.ontrack?.({ track: {}, streams: [this.stream] });
    return Promise.resolve();
  }

  setLocalDescription(description: { sdp: string }): Promise<void> {
    this.localDescriptions.push(description.sdp);
    return Promise.resolve();
  }

  createAnswer(): Promise<{ sdp: string }> {
    return Promise.resolve({ sdp: "v=0\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 minptime=10\r\n" });
  }

  createOffer(): Promise<{ sdp: string }> {
    return Promise.resolve({ sdp: "v=0\r\na=rtpmap:111 opus/48000/2\r\n" });
  }

  addIceCandidate(candidate: unknown): Promise<void> {
    this.candidates.push(candidate);
    return Promise.resolve();
  }

  getStats(): Promise<Map<string, unknown>> {
    return Promise.resolve(
      new Map([["v", { type: "inbound-rtp", kind: "video", framesDecoded: this.framesDecoded, packetsReceived: 1 }]]),
    );
  }

  close(): void {
    this.closed += 1;
  }

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

export const ENDPOINTS: Endpoints = endpointsFrom(
  { wsUrl: "wss://tower.example/websocket", iceServers: [] },
  { href: "https://tower.example/", protocol: "https:", hostname: "tower.example" },
);

/** A session whose server, network and peer connections are the test. */
export function fakeSession(target: Target = { kind: "channel", name: "dawn" }, changes: Partial<SessionParts> = {}) {
  const sockets: FakeSocket[] = [];
  const peers: FakePeer[] = [];
  const latency = new Observable<LatencyMode>("balanced");
  const fetches = vi.fn<typeof fetch>(() => Promise.reject(new TypeError("no network")));
  const parts: SessionParts = {
    endpoints: Promise.resolve(ENDPOINTS),
    makePeer: () => {
      const peer = new FakePeer();
      peers.push(peer);
      return peer as unknown as RTCPeerConnection;
    },
    openSocket: (url) => {
      const socket = new FakeSocket(url);
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    openingMs: () => null,
    fetch: fetches,
    presence: () => () => () => undefined,
    latency,
    playable: () => null,
    restTargetMs: null,
    random: () => 0.5,
    nowMs: () => performance.now(),
    forced: null,
    hasWebRtc: true,
    ...changes,
  };
  return { session: new ViewerSession(target, parts), sockets, peers, fetches, latency };
}

/** Lets promises that are ready run, and `ms` of timers with them. */
export async function pass(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** The last of a list that the test knows not to be empty. */
export function newest<T>(list: readonly T[]): T {
  const last = list.at(-1);
  if (last === undefined) throw new Error("nothing there yet");
  return last;
}

/** What the server offers in the tests. */
export const OFFER = { type: "offer", sdp: "v=0\r\n" };

/** A session over the WebSocket that is connected and waits for its first picture. */
export async function joining(changes: Partial<SessionParts> = {}) {
  const all = fakeSession(undefined, changes);
  all.session.start();
  await pass();
  newest(all.sockets).accept();
  newest(all.sockets).say("offer", OFFER);
  await pass();
  newest(all.peers).become("connected");
  return all;
}
