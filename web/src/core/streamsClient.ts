import { type Endpoints, eventsUrl, streamsUrl } from "./config";
import type { StreamEntry, StreamsDocument } from "./messages";
import { Observable } from "./observable";
import type { Target } from "./target";

/** How often the list is asked for where events do not come through. */
const POLL_MS = 5_000;

export type StreamsState =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly streams: readonly StreamEntry[] }
  /** The server does not answer; we go on asking. */
  | { readonly kind: "unreachable" };

export interface StreamsParts {
  readonly endpoints: Promise<Endpoints>;
  readonly fetch: typeof fetch;
  readonly openEvents: (url: string) => EventSource;
}

/** What is on the air, as long as somebody wants to know. The server tells each change by itself. */
export class StreamsClient {
  readonly #state = new Observable<StreamsState>({ kind: "loading" });
  readonly #parts: StreamsParts;
  #running: AbortController | null = null;
  #events: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: StreamsParts) {
    this.#parts = parts;
  }

  readonly snapshot = (): StreamsState => this.#state.snapshot();

  /** The first subscriber starts the flow of events, the last one stops it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    const unsubscribe = this.#state.subscribe(listener);
    if (!this.#running) void this.#start();
    return () => {
      unsubscribe();
      if (!this.#state.watched) this.#stop();
    };
  };

  async #start(): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    const endpoints = await this.#parts.endpoints;
    if (running.signal.aborted) return;

    const events = this.#parts.openEvents(eventsUrl(endpoints));
    this.#events = events;
    events.addEventListener("streams", (event: MessageEvent<unknown>) => {
      const streams = typeof event.data === "string" ? parseStreams(event.data) : null;
      if (streams) this.#state.set({ kind: "ready", streams });
    });
    events.onerror = () => {
      // The browser tries again by itself unless the server has no events at all; then we ask.
      events.close();
      if (!running.signal.aborted) void this.#poll(endpoints, running.signal);
    };
  }

  async #poll(endpoints: Endpoints, signal: AbortSignal): Promise<void> {
    let answered = false;
    try {
      const reply = await this.#parts.fetch(streamsUrl(endpoints), { signal });
      const streams = reply.ok ? parseStreams(await reply.text()) : null;
      if (signal.aborted) return;
      answered = streams !== null;
      this.#state.set(streams ? { kind: "ready", streams } : { kind: "unreachable" });
    } catch {
      if (signal.aborted) return;
      this.#state.set({ kind: "unreachable" });
    }
    this.#timer = setTimeout(() => {
      // A server that is back after a restart has its events back too.
      if (answered) void this.#poll(endpoints, signal);
      else if (!signal.aborted) void this.#start();
    }, POLL_MS);
  }

  #stop(): void {
    this.#running?.abort();
    this.#running = null;
    this.#events?.close();
    this.#events = null;
    clearTimeout(this.#timer);
  }
}

/** The list in a document of the server, or null when it is none. */
export function parseStreams(text: string): StreamEntry[] | null {
  try {
    const document = JSON.parse(text) as Partial<StreamsDocument> | null;
    return Array.isArray(document?.streams) ? document.streams : null;
  } catch {
    return null;
  }
}

/** Most watched first; among equals the one that has been on for longest, then the lower port: no jumping about. */
export function byAudience(streams: readonly StreamEntry[]): StreamEntry[] {
  return [...streams].sort((a, b) => b.viewers - a.viewers || a.since_ms - b.since_ms || a.port - b.port);
}

export function findStream(streams: readonly StreamEntry[], target: Target): StreamEntry | null {
  const isIt = (one: StreamEntry): boolean =>
    target.kind === "channel" ? one.channel === target.name : one.port === target.port;
  return streams.find(isIt) ?? null;
}

/** A stream without a channel can be watched by its port alone. */
export function streamTarget(stream: StreamEntry): Target {
  return stream.channel === null ? { kind: "port", port: stream.port } : { kind: "channel", name: stream.channel };
}
