/** Why the server, or the way to it, takes nothing. */
export type WhipRefusal =
  | "signed-out"
  | "channel-in-use"
  | "ended-by-streamer"
  | "foreign-network"
  | "unreachable"
  | "no-connection"
  | "server-trouble";

export interface WhipParts {
  readonly fetch: typeof fetch;
  readonly peer: RTCPeerConnection;
  readonly stream: MediaStream;
}

/** Where the desk takes offers: its cookie says who we are, so that no key is needed here. */
const ENDPOINT = "/studio/api/publish";
const ANSWER_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 15_000;
/** Bits per second at most; browsers begin low and grow with what the line carries. */
const MAX_BITRATE = 4_000_000;

/** Publishes one stream over WHIP (RFC 9725), once. */
export class WhipClient {
  readonly #parts: WhipParts;
  readonly #senders = new Map<string, RTCRtpSender>();
  #resource: string | null = null;
  #closed = false;

  constructor(parts: WhipParts) {
    this.#parts = parts;
  }

  /** Resolves with null when the server has accepted. From then on `changed` tells whether the connection is lost. */
  async open(changed: (lost: boolean) => void): Promise<WhipRefusal | null> {
    const { peer, stream } = this.#parts;
    for (const kind of ["video", "audio"] as const) {
      const track = stream.getTracks().find((one) => one.kind === kind);
      const transceiver = peer.addTransceiver(track ?? kind, {
        direction: "sendonly",
        streams: [stream],
        ...(kind === "video" && { sendEncodings: [{ maxBitrate: MAX_BITRATE }] }),
      });
      if (kind === "video") preferH264(transceiver);
      this.#senders.set(kind, transceiver.sender);
    }
    const patience = setTimeout(() => {
      if (!this.#closed) changed(true);
    }, CONNECT_TIMEOUT_MS);
    peer.onconnectionstatechange = () => {
      if (this.#closed) return;
      if (peer.connectionState === "connected") {
        clearTimeout(patience);
        changed(false);
      } else if (peer.connectionState === "failed") {
        clearTimeout(patience);
        changed(true);
      }
    };
    const refused = await this.#negotiate();
    if (refused) clearTimeout(patience);
    return refused;
  }

  /** Sends other tracks instead; the connection stays. */
  async replace(stream: MediaStream): Promise<void> {
    for (const [kind, sender] of this.#senders) {
      await sender.replaceTrack(stream.getTracks().find((track) => track.kind === kind) ?? null);
    }
  }

  /** Tells the server that it is over. Twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.peer.onconnectionstatechange = null;
    this.#parts.peer.close();
    this.#leave();
  }

  async #negotiate(): Promise<WhipRefusal | null> {
    const { peer, fetch } = this.#parts;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      abort.abort();
    }, ANSWER_TIMEOUT_MS);
    try {
      await peer.setLocalDescription();
      const body = peer.localDescription?.sdp ?? "";
      const headers = { "content-type": "application/sdp" };
      const reply = await fetch(ENDPOINT, { method: "POST", headers, body, signal: abort.signal }).catch(() => null);
      if (!reply) return "unreachable";
      if (reply.status !== 201) return await refusalOf(reply);
      this.#resource = reply.headers.get("location");
      if (this.#closed) this.#leave();
      else await peer.setRemoteDescription({ type: "answer", sdp: await reply.text() });
      return null;
    } catch {
      return "no-connection";
    } finally {
      clearTimeout(timer);
    }
  }

  #leave(): void {
    const resource = this.#resource;
    this.#resource = null;
    // `keepalive` lets the request outlive the page.
    if (resource !== null) this.#parts.fetch(resource, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }
}

/** Every browser decodes H.264; the others remain for browsers that cannot encode it. */
function preferH264(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const isH264 = (codec: RTCRtpCodec): boolean => codec.mimeType.toLowerCase() === "video/h264";
  const sorted = [...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))];
  if (sorted.length > 0) transceiver.setCodecPreferences(sorted);
}

const CODES: Readonly<Record<string, WhipRefusal>> = {
  signed_out: "signed-out",
  wrong_key: "signed-out",
  channel_in_use: "channel-in-use",
  ended_by_streamer: "ended-by-streamer",
  foreign_network: "foreign-network",
};

async function refusalOf(reply: Response): Promise<WhipRefusal> {
  const body: unknown = await reply.json().catch(() => null);
  const code = typeof body === "object" && body !== null ? (body as { code?: unknown }).code : null;
  return (typeof code === "string" ? CODES[code] : undefined) ?? "server-trouble";
}
