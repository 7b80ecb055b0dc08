import { Observable } from "./observable";
import type { Desk, Mute, NewTitle, SignIn } from "./studioMessages";

const API = "/studio/api";
/** How soon to look again when the server does not answer. */
const AGAIN_MS = 3_000;

/** Why an order was not carried out, or nobody was let in. */
export type StudioProblem = "wrong-key" | "too-many-tries" | "no-verdict" | "unreachable" | "off-air" | "signed-out" | "no-desk" | "other";

export type StudioState =
  /** Finding out whether this browser has signed in before. */
  | { readonly kind: "checking" }
  | { readonly kind: "signed-out"; readonly problem: StudioProblem | null }
  /** `fresh` is false while the server does not answer: then the desk is the last one known. */
  | { readonly kind: "signed-in"; readonly desk: Desk; readonly fresh: boolean };

export interface StudioParts {
  readonly fetch: typeof fetch;
  readonly openEvents: (url: string) => EventSource;
}

/** A streamer's desk: signs in, follows how the channel is doing, gives orders. The server knows us by a cookie. */
export class StudioClient {
  readonly #state = new Observable<StudioState>({ kind: "checking" });
  readonly #parts: StudioParts;
  #events: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;

  constructor(parts: StudioParts) {
    this.#parts = parts;
  }

  readonly snapshot = (): StudioState => this.#state.snapshot();

  /** Follows the desk for as long as somebody looks at it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    const unsubscribe = this.#state.subscribe(listener);
    if (!this.#running) {
      this.#running = true;
      void this.#look();
    }
    return () => {
      unsubscribe();
      if (!this.#state.watched) this.#stop();
    };
  };

  /** Shows the key once; the cookie stands for it from then on. Null when let in. */
  async signIn(key: string): Promise<StudioProblem | null> {
    const body: SignIn = { key: key.trim() };
    const problem = await this.#order("POST", "session", body);
    if (problem) this.#state.set({ kind: "signed-out", problem });
    else await this.#look();
    return problem;
  }

  async signOut(): Promise<void> {
    await this.#order("DELETE", "session", null);
    this.#close();
    this.#state.set({ kind: "signed-out", problem: null });
  }

  setTitle(title: string): Promise<StudioProblem | null> {
    const body: NewTitle = { title };
    return this.#order("POST", "title", body);
  }

  setMuted(muted: boolean): Promise<StudioProblem | null> {
    const body: Mute = { muted };
    return this.#order("POST", "muted", body);
  }

  /** Ends the stream, and turns the encoder away for a while: it comes back by itself. */
  end(): Promise<StudioProblem | null> {
    return this.#order("POST", "end", {});
  }

  /** Lets encoders in again. */
  open(): Promise<StudioProblem | null> {
    return this.#order("POST", "open", {});
  }

  async #order(method: string, what: string, body: object | null): Promise<StudioProblem | null> {
    try {
      const reply = await this.#parts.fetch(`${API}/${what}`, {
        method,
        ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      });
      return reply.ok ? null : await problemOf(reply);
    } catch {
      return "unreachable";
    }
  }

  /** Asks once: browsers do not tell why a stream of events was refused. Then the events go on. */
  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#close();
    try {
      const reply = await this.#parts.fetch(`${API}/desk`);
      if (reply.ok && !isJson(reply)) {
        this.#state.set({ kind: "signed-out", problem: "no-desk" });
        return;
      }
      if (reply.ok) {
        this.#state.set({ kind: "signed-in", desk: (await reply.json()) as Desk, fresh: true });
        if (this.#running) this.#follow();
        return;
      }
      const problem = await problemOf(reply);
      if (problem === "signed-out") {
        this.#state.set({ kind: "signed-out", problem: null });
        return;
      }
    } catch {
      // Below.
    }
    this.#stale();
    if (this.#running) this.#timer = setTimeout(() => void this.#look(), AGAIN_MS);
  }

  #follow(): void {
    const events = this.#parts.openEvents(`${API}/events`);
    this.#events = events;
    events.addEventListener("desk", (event: MessageEvent<unknown>) => {
      const desk = typeof event.data === "string" ? parseDesk(event.data) : null;
      if (desk && this.#events === events) this.#state.set({ kind: "signed-in", desk, fresh: true });
    });
    events.onerror = () => {
      if (this.#events === events) void this.#look();
    };
  }

  #stale(): void {
    const state = this.#state.snapshot();
    if (state.kind === "signed-in") this.#state.set({ ...state, fresh: false });
    else this.#state.set({ kind: "signed-out", problem: "unreachable" });
  }

  #close(): void {
    this.#events?.close();
    this.#events = null;
  }

  #stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#close();
  }
}

/** A server without a desk (`heliograph relay`) answers with the page itself, as it does for any route of it. */
function isJson(reply: Response): boolean {
  return reply.headers.get("content-type")?.includes("json") ?? false;
}

const PROBLEMS: Readonly<Record<string, StudioProblem>> = {
  wrong_key: "wrong-key",
  too_many_tries: "too-many-tries",
  no_verdict: "no-verdict",
  off_air: "off-air",
  signed_out: "signed-out",
};

async function problemOf(reply: Response): Promise<StudioProblem> {
  const body: unknown = await reply.json().catch(() => null);
  const code = typeof body === "object" && body !== null ? (body as { code?: unknown }).code : null;
  return (typeof code === "string" ? PROBLEMS[code] : undefined) ?? (reply.status >= 502 ? "unreachable" : "other");
}

function parseDesk(text: string): Desk | null {
  try {
    const desk = JSON.parse(text) as Partial<Desk> | null;
    return typeof desk?.channel === "string" ? (desk as Desk) : null;
  } catch {
    return null;
  }
}
