import type { Cause, CauseCode } from "./viewerState";

/**
 * The server's short stable words (docs/messages.md) and what they mean here. An unknown word from a newer
 * server is shown with the server's own sentence and tried again.
 */
const MEANINGS: Readonly<Record<string, CauseCode>> = {
  "stream-ended": "ended",
  "publisher-gone": "ended",
  "unknown-stream": "no-stream",
  "unknown-channel": "no-stream",
  "codec-not-supported": "codec",
  "missing-codec": "codec",
  full: "full",
  "too-many-pending": "full",
  kicked: "not-allowed",
  "server-shutdown": "server-closing",
  "consent-lost": "path-lost",
  "handshake-failed": "path-blocked",
  "handshake-timeout": "path-blocked",
};

export function causeOf(code: string, detail: string): Cause {
  const cause = MEANINGS[code.replaceAll("_", "-")] ?? "other";
  return detail === "" ? { code: cause } : { code: cause, detail };
}

/** What an HTTP status means when the body does not say more. */
export function causeOfStatus(status: number, detail: string): Cause {
  const with_ = (code: CauseCode): Cause => (detail === "" ? { code } : { code, detail });
  switch (status) {
    case 401:
    case 403:
      return with_("not-allowed");
    case 404:
    case 409:
    case 410:
      return with_("no-stream");
    case 406:
    case 415:
    case 422:
      return with_("codec");
    case 429:
    case 503:
      return with_("full");
    default:
      return with_("other");
  }
}

/** Whether another try cannot change anything: the browser will not learn a codec meanwhile. */
export function isFinal(cause: Cause): boolean {
  return cause.code === "codec" || cause.code === "not-allowed" || cause.code === "no-webrtc";
}
