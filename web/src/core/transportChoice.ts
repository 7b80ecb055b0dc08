import type { CauseCode } from "./viewerState";

/** The ways to signal. */
export type Transport = "websocket" | "whep";

/** What earlier attempts of this session have taught. */
export interface TransportMemory {
  /** Sockets in a row that could not be opened. */
  readonly socketFailures: number;
  /** A socket has been open once, so nothing on the way forbids it. */
  readonly socketOpened: boolean;
}

/** WebSocket first: it tells viewers, states and reasons. WHEP where a socket could not be opened twice. */
export function chooseTransport(memory: TransportMemory, forced: Transport | null): Transport {
  if (forced) return forced;
  return !memory.socketOpened && memory.socketFailures >= 2 ? "whep" : "websocket";
}

export function rememberOutcome(
  memory: TransportMemory,
  transport: Transport | null,
  outcome: "opened" | CauseCode,
): TransportMemory {
  if (transport === "websocket") {
    if (outcome === "opened") return { socketFailures: 0, socketOpened: true };
    return outcome === "socket-refused" ? { ...memory, socketFailures: memory.socketFailures + 1 } : memory;
  }
  // The server refuses the socket of a stream that does not exist, and only WHEP can say so. And when nothing
  // answers at all, the socket was not to blame either. One more socket failure brings WHEP back.
  if (outcome === "no-stream" || outcome === "unreachable") return { ...memory, socketFailures: 1 };
  return memory;
}
