/**
 * The first packet of a TCP connection that gets lost is repeated by the operating system after a second (RFC 6298
 * section 2), which is longer than everything else that a viewer waits for. Browsers try again sooner for pages; for
 * sockets they do not.
 */
const SYSTEM_TRIES_AGAIN_MS = 1_000;
const LEAST_MS = 200;
/** TCP, TLS of the older kind, and the handshake of the socket. */
const ROUND_TRIPS = 4;
/** For the server. */
const ANSWER_MS = 60;

/** When a socket that is not open yet is given up for a second one; null: never. */
export function secondTryAfterMs(roundTripMs: number | null): number | null {
  if (roundTripMs === null) return null;
  const afterMs = Math.max(LEAST_MS, ROUND_TRIPS * roundTripMs + ANSWER_MS);
  return afterMs < SYSTEM_TRIES_AGAIN_MS ? afterMs : null;
}

/** What the browser measured when it fetched this page, if that came from the same server. */
export function measuredRoundTripMs(window: Pick<Window, "location" | "performance">, url: string): number | null {
  if (new URL(url).host !== window.location.host) return null;
  const [page] = window.performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  if (!page) return null;
  const connected = page.secureConnectionStart > 0 ? page.secureConnectionStart : page.connectEnd;
  const connectMs = connected - page.connectStart;
  // Over a connection that was there already: the answer, which takes the server no time worth mentioning.
  const answerMs = page.responseStart - page.requestStart;
  const roundTripMs = connectMs > 0 ? connectMs : answerMs;
  return roundTripMs > 0 ? roundTripMs : null;
}
