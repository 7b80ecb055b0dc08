/**
 * The first packet of a TCP connection that gets lost is repeated by the operating system after a second (RFC 6298
 * section 2), which is longer than everything else that a viewer waits for. Browsers try again sooner for pages; for
 * sockets they do not.
 */
const SYSTEM_TRIES_AGAIN_MS = 1_000;
const LEAST_MS = 120;
/** For the server, and for a page that is still busy with its beginning. */
const ANSWER_MS = 30;
const PATIENCE = 1.25;
/** A connection and the handshake of the socket; and before that one, TLS of the older kind. */
const ROUND_TRIPS = { http: 2, https: 4 };

/**
 * When a socket that is not open yet, but takes `openingMs` as a rule, is given up for a second one; null: never. (Both at
 * once, and the first to be open, would be better. But browsers open one at a time to a server: RFC 6455 section 4.1.)
 */
export function secondTryAfterMs(openingMs: number | null): number | null {
  if (openingMs === null) return null;
  const afterMs = Math.max(LEAST_MS, Math.round(PATIENCE * openingMs) + ANSWER_MS);
  return afterMs < SYSTEM_TRIES_AGAIN_MS ? afterMs : null;
}

/** What a socket takes to open, by what the browser measured when it fetched this page, if that came from the same server. */
export function measuredOpeningMs(window: Pick<Window, "location" | "performance">, url: string): number | null {
  if (new URL(url).host !== window.location.host) return null;
  const [page] = window.performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  if (!page) return null;
  // It takes the server no time worth mentioning.
  const answerMs = page.responseStart - page.requestStart;
  const encrypted = page.secureConnectionStart > 0;
  const connectMs = (encrypted ? page.secureConnectionStart : page.connectEnd) - page.connectStart;
  if (connectMs > 0) {
    // Either may have met with a loss of its own.
    const roundTripMs = answerMs > 0 ? Math.min(connectMs, answerMs) : connectMs;
    return ROUND_TRIPS.http * roundTripMs + (encrypted ? page.connectEnd - page.secureConnectionStart : 0);
  }
  // The page came over a connection that was there already, and sockets have none.
  const roundTrips = url.startsWith("wss:") ? ROUND_TRIPS.https : ROUND_TRIPS.http;
  return answerMs > 0 ? roundTrips * answerMs : null;
}
