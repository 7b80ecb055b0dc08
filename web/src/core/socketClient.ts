import { readLayers } from "./layers";
import type { Notice, PlayoutWish, ServerMessage, ViewerMessage } from "./messages";
import { causeOf, isFinal } from "./serverCodes";
import type { Negotiator, SignalClient, SignalListener } from "./signalClient";
import { readUplink } from "./uplink";
import type { Cause } from "./viewerState";

/** A firewall that swallows packets would keep the browser waiting for minutes. */
const OPEN_TIMEOUT_MS = 8_000;

/** Signaling over the server's WebSocket: the server offers, and goes on talking while we watch. */
export class SocketClient implements SignalClient {
  readonly transport = "websocket";
  #socket: WebSocket | null = null;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #secondTimer: ReturnType<typeof setTimeout> | undefined;
  #opened = false;
  /** The reason that the server gives before it closes. */
  #reason: Cause | null = null;
  #closed = false;

  readonly #url: string;
  readonly #openSocket: (url: string) => WebSocket;
  readonly #peer: Negotiator;
  readonly #listener: SignalListener;
  readonly #secondTryAfterMs: number | null;

  /** `secondTryAfterMs`: see `secondTry.ts`. */
  constructor(
    url: string,
    openSocket: (url: string) => WebSocket,
    peer: Negotiator,
    listener: SignalListener,
    secondTryAfterMs: number | null = null,
  ) {
    this.#url = url;
    this.#openSocket = openSocket;
    this.#peer = peer;
    this.#listener = listener;
    this.#secondTryAfterMs = secondTryAfterMs;
  }

  open(): void {
    if (this.#closed || this.#socket) return;
    this.#openTimer = setTimeout(() => {
      this.#end({ code: "socket-refused" });
    }, OPEN_TIMEOUT_MS);
    if (this.#secondTryAfterMs !== null) {
      this.#secondTimer = setTimeout(() => {
        this.#letGo();
        this.#connect();
      }, this.#secondTryAfterMs);
    }
    this.#connect();
  }

  #connect(): void {
    let socket: WebSocket;
    try {
      socket = this.#openSocket(this.#url);
    } catch {
      // A content policy or an address that the browser will not take.
      this.#end({ code: "socket-refused" });
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      this.#clearTimers();
      this.#opened = true;
      this.#listener({ type: "open" });
    };
    socket.onmessage = (message: MessageEvent<unknown>) => {
      const parsed = parseServerMessage(message.data);
      if (parsed && !this.#closed) this.#receive(parsed);
    };
    socket.onclose = () => {
      this.#end(this.#reason ?? { code: this.#opened ? "socket-lost" : "socket-refused" });
    };
  }

  sendCandidate(candidate: RTCIceCandidate): void {
    const { candidate: line, sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    this.#send({ event: "candidate", data: { candidate: line, sdpMid, sdpMLineIndex, usernameFragment } });
  }

  sendPlayout(wish: PlayoutWish | null): void {
    this.#send({ event: "playout", data: wish });
  }

  sendLayer(rid: string | null): void {
    this.#send({ event: "layer", data: rid });
  }

  askClock(clientUs: number): void {
    this.#send({ event: "clock", data: { client_us: clientUs } });
  }

  sendDelay(delayMs: number): void {
    this.#send({ event: "delay", data: { delay_ms: delayMs } });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clearTimers();
    this.#letGo();
  }

  #clearTimers(): void {
    clearTimeout(this.#openTimer);
    clearTimeout(this.#secondTimer);
  }

  #letGo(): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #receive(message: ServerMessage): void {
    switch (message.event) {
      case "offer":
        void this.#answer(message.data.sdp);
        return;
      case "candidate":
        this.#peer.addCandidate(message.data);
        return;
      case "info":
        this.#listener({ type: "viewers", count: message.data.no_connections });
        return;
      case "state":
        this.#listener({
          type: "state",
          state: message.data.state,
          name: message.data.name ?? null,
          layers: readLayers(message.data.layers),
        });
        return;
      case "playout":
        this.#listener({ type: "playout", maxMs: message.data.max_ms });
        return;
      case "clock":
        this.#listener({ type: "clock", clientUs: message.data.client_us, serverUs: message.data.server_us });
        this.#listener({ type: "uplink", uplink: readUplink(message.data.uplink) });
        return;
      case "error":
        this.#listener({ type: "notice", cause: noticeCause(message.data) });
        return;
      case "close":
        this.#reason = noticeCause(message.data);
        return;
    }
  }

  async #answer(offer: string): Promise<void> {
    try {
      await this.#peer.answerTo(offer, (sdp) => {
        this.#send({ event: "answer", data: { type: "answer", sdp } });
      });
    } catch (error) {
      this.#end({ code: "description", detail: String(error) });
    }
  }

  #send(message: ViewerMessage): void {
    // Late answers and candidates of an attempt that is over are nobody's any more.
    if (!this.#closed && this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #end(cause: Cause): void {
    if (this.#closed) return;
    this.close();
    this.#listener({ type: "closed", cause, final: isFinal(cause) });
  }
}

/** The message, or null for anything this page does not know: a newer server may say more. */
export function parseServerMessage(text: unknown): ServerMessage | null {
  if (typeof text !== "string") return null;
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(message) || !isRecord(message["data"])) return null;
  const data = message["data"];
  switch (message["event"]) {
    case "offer":
      return typeof data["sdp"] === "string" ? { event: "offer", data: { type: "offer", sdp: data["sdp"] } } : null;
    case "candidate":
      return typeof data["candidate"] === "string" ? (message as ServerMessage) : null;
    case "info":
      return typeof data["no_connections"] === "number" ? (message as ServerMessage) : null;
    case "state":
      return isChannelState(data["state"]) ? (message as ServerMessage) : null;
    case "playout":
      return typeof data["max_ms"] === "number" ? (message as ServerMessage) : null;
    case "clock":
      return typeof data["client_us"] === "number" && typeof data["server_us"] === "number"
        ? (message as ServerMessage)
        : null;
    case "error":
    case "close":
      return typeof data["code"] === "string" ? (message as ServerMessage) : null;
    default:
      return null;
  }
}

function noticeCause(notice: Notice): Cause {
  return causeOf(notice.code, typeof notice.message === "string" ? notice.message : "");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isChannelState(value: unknown): boolean {
  return value === "offline" || value === "waiting" || value === "live" || value === "away";
}
