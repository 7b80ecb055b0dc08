import { NO_LAYERS, readLayers, sameLayers } from "./layers";
import type { ClockAnswer, Layer, PlayoutRange, PlayoutWish, StreamEntry, ViewerMessage } from "./messages";
import { refusedMedia } from "./sdp";
import { causeOf, causeOfStatus, isFinal } from "./serverCodes";
import type { Negotiator, SignalClient, SignalListener } from "./signalClient";
import { readUplink } from "./uplink";
import type { Cause } from "./viewerState";

const ANSWER_TIMEOUT_MS = 10_000;

/** Tells what the list of streams says about ours, now and after each change; null when it is not in there. */
export type Presence = (listener: (entry: StreamEntry | null) => void) => () => void;

/**
 * Signaling over WHEP: plain HTTP, one question and one answer. It goes through proxies that stop WebSockets.
 * The server learns our addresses from our own connectivity checks, so that no candidates need to be sent.
 */
export class WhepClient implements SignalClient {
  readonly transport = "whep";
  /** What DELETE ends; known once the server has accepted. */
  #resource: string | null = null;
  readonly #abort = new AbortController();
  #stopPresence: (() => void) | null = null;
  #opened = false;
  #closed = false;
  #layers: readonly Layer[] = NO_LAYERS;

  readonly #url: string;
  readonly #fetch: typeof fetch;
  readonly #presence: Presence;
  readonly #peer: Negotiator;
  readonly #listener: SignalListener;

  constructor(url: string, fetchFrom: typeof fetch, presence: Presence, peer: Negotiator, listener: SignalListener) {
    this.#url = url;
    this.#fetch = fetchFrom;
    this.#presence = presence;
    this.#peer = peer;
    this.#listener = listener;
  }

  open(): void {
    if (this.#closed || this.#opened) return;
    this.#opened = true;
    void this.#negotiate();
  }

  sendCandidate(): void {
    // See above.
  }

  askClock(clientUs: number): void {
    const question: ViewerMessage = { event: "clock", data: { client_us: clientUs } };
    void this.#say(question, async (answer) => {
      const message = readClock(await answer.json());
      if (!message || this.#closed) return;
      this.#listener({ type: "clock", clientUs: message.client_us, serverUs: message.server_us });
      this.#listener({ type: "uplink", uplink: readUplink(message.uplink) });
    });
  }

  sendPlayout(wish: PlayoutWish | null): void {
    void this.#say({ event: "playout", data: wish }, async (answer) => {
      const maxMs = readPlayout(await answer.json());
      if (maxMs !== null && !this.#closed) this.#listener({ type: "playout", maxMs });
    });
  }

  sendLayer(rid: string | null): void {
    void this.#say({ event: "layer", data: rid });
  }

  sendDelay(delayMs: number): void {
    void this.#say({ event: "delay", data: { delay_ms: delayMs } });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopPresence?.();
    // A question under way is not taken back: the server would go on holding a place for its answer.
    this.#release();
  }

  async #negotiate(): Promise<void> {
    const timer = setTimeout(() => {
      this.#abort.abort();
    }, ANSWER_TIMEOUT_MS);
    try {
      const offer = await this.#peer.offer();
      const reply = await this.#ask(offer);
      if (!reply) return;
      if (reply.status !== 201) {
        this.#end(await causeOfReply(reply));
        return;
      }
      const location = reply.headers.get("location");
      this.#resource = location === null ? null : new URL(location, reply.url || this.#url).href;
      const answer = await reply.text();
      if (this.#closed) {
        this.#release();
        return;
      }
      this.#listener({ type: "open" });
      const maxMs = playoutMaxMs(reply.headers.get("playout-delay"));
      if (maxMs !== null) this.#listener({ type: "playout", maxMs });
      await this.#peer.accept(answer);
      this.#watchPresence(refusedMedia(answer));
    } catch (error) {
      this.#end({ code: "description", detail: String(error) });
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(offer: string): Promise<Response | null> {
    try {
      return await this.#fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/sdp" },
        body: offer,
        signal: this.#abort.signal,
      });
    } catch {
      this.#end({ code: "unreachable" });
      return null;
    }
  }

  /** Our server takes beside the session what the WebSocket would carry; another one refuses, and nothing is lost. */
  async #say(message: ViewerMessage, onAnswer?: (answer: Response) => Promise<void>): Promise<void> {
    if (this.#resource === null || this.#closed) return;
    try {
      const headers = { "content-type": "application/json" };
      const answer = await this.#fetch(`${this.#resource}/messages`, { method: "POST", headers, body: JSON.stringify(message) });
      if (answer.ok) await onAnswer?.(answer);
    } catch {
      // The path of the media is watched elsewhere.
    }
  }

  /** WHEP itself is silent after the answer: the list of streams says the rest. */
  #watchPresence(refused: readonly string[]): void {
    let seen = false;
    let told = false;
    if (this.#closed) return;
    this.#stopPresence = this.#presence((entry) => {
      if (this.#closed) return;
      if (entry) {
        seen = true;
        // Refused although it is sent: this browser did not offer its codec.
        const missing = entry.tracks.filter(({ kind }) => refused.includes(kind)).map(({ kind, codec }) => ({ kind, codec }));
        if (!told && missing.length > 0) {
          told = true;
          this.#listener({ type: "notice", cause: { code: "codec", missing } });
        }
        // Counts are looked at every few seconds only, and we are one of them.
        this.#listener({ type: "viewers", count: Math.max(1, entry.viewers) });
        this.#listener({ type: "uplink", uplink: readUplink(entry.uplink) });
        const layers = readLayers(entry.layers);
        // Their bitrates change all the time, the layers hardly ever.
        if (!sameLayers(layers, this.#layers)) this.#layers = layers;
        this.#listener({ type: "state", state: entry.state, name: entry.name, layers: this.#layers });
      } else if (seen) {
        this.#end({ code: "ended" });
      }
    });
  }

  /** Tells the server that we leave; it would notice only after half a minute otherwise. */
  #release(): void {
    const resource = this.#resource;
    this.#resource = null;
    // `keepalive` lets the request outlive the page.
    if (resource !== null) this.#fetch(resource, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  #end(cause: Cause): void {
    if (this.#closed) return;
    this.close();
    this.#listener({ type: "closed", cause, final: isFinal(cause) });
  }
}

/** The answer to a question for the clock; null when it is something else. */
function readClock(message: unknown): ClockAnswer | null {
  const { event, data } = (message ?? {}) as { event?: unknown; data?: Partial<ClockAnswer> };
  const sound = event === "clock" && typeof data?.client_us === "number" && typeof data.server_us === "number";
  return sound ? (data as ClockAnswer) : null;
}

/** The upper bound that holds now; null when the answer is something else. */
function readPlayout(message: unknown): number | null {
  const { event, data } = (message ?? {}) as { event?: unknown; data?: Partial<PlayoutRange> };
  return event === "playout" && typeof data?.max_ms === "number" ? data.max_ms : null;
}

/** The upper bound out of `min=0, max=2000, limit=4000`. */
function playoutMaxMs(header: string | null): number | null {
  const found = /(?:^|[,\s])max=(\d+)/.exec(header ?? "");
  return found ? Number(found[1]) : null;
}

/** The reason in the problem body (RFC 9457) if there is one, else what the status says. */
async function causeOfReply(reply: Response): Promise<Cause> {
  const body: unknown = await reply.json().catch(() => null);
  if (typeof body !== "object" || body === null) return causeOfStatus(reply.status, "");
  const { code, detail } = body as { code?: unknown; detail?: unknown };
  const words = typeof detail === "string" ? detail : "";
  const named = typeof code === "string" ? causeOf(code, words) : null;
  return named === null || named.code === "other" ? causeOfStatus(reply.status, words) : named;
}
