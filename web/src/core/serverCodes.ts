import type { Cause, CauseCode } from "./viewerState";

/**
 * The server's short stable words (docs/messages.md) and what they mean here. An unknown word from a newer
 * server is shown with the server's own sentence and tried again.
 */
const MEANINGS: Readonly<Record<string, CauseCode>> = {
  stream_ended: "ended",
  publisher_gone: "ended",
  unknown_stream: "no-stream",
  codec_not_supported: "codec",
  missing_codec: "codec",
  full: "full",
  too_many_pending: "full",
  too_many_sockets: "full",
  kicked: "not-allowed",
  replaced: "not-allowed",
  server_shutdown: "server-closing",
  consent_lost: "path-lost",
  handshake_failed: "path-blocked",
  handshake_timeout: "path-blocked",
  silent: "socket-lost",
  answer_timeout: "socket-lost",
  bad_message: "description",
  bad_answer: "description",
  bad_candidate: "description",
  unexpected_answer: "description",
};

export function causeOf(code: string, detail: string): Cause {
  const cause = MEANINGS[code.replaceAll("-", "_")] ?? "other";
  return detail === "" ? { code: cause } : { code: cause, detail };
}

/** What an HTTP status means when the body does not say more. */
export function causeOfStatus(status: number, detail: string): Cause {
  const because = (code: CauseCode): Cause => (detail === "" ? { code } : { code, detail });
  switch (status) {
    case 401:
    case 403:
      return because("not-allowed");
    case 404:
    case 409:
    case 410:
      return because("no-stream");
    case 406:
    case 415:
    case 422:
      return because("codec");
    case 429:
    case 503:
      return because("full");
    default:
      return because("other");
  }
}

/** Whether another try cannot change anything: the browser will not learn a codec meanwhile. */
export function isFinal(cause: Cause): boolean {
  return cause.code === "codec" || cause.code === "not-allowed" || cause.code === "no-webrtc";
}
