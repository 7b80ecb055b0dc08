import { askForCaptureTimes } from "./captureTimes";
import { withRoundTripReports, withStereo } from "./sdp";
export interface PeerLinkEvents {
  /** Tracks have come, or one of them was refused: the stream stays the same object but for that. */
  stream(stream: MediaStream): void;
  connection(state: RTCPeerConnectionState): void;
  candidate(candidate: RTCIceCandidate): void;
}

/** One peer connection from its first description to its end. */
export class PeerLink {
  readonly peer: RTCPeerConnection;
  #pendingCandidates: RTCIceCandidateInit[] = [];
  #described = false;
  #closed = false;

  constructor(peer: RTCPeerConnection, events: PeerLinkEvents) {
    this.peer = peer;
    peer.ontrack = ({ track, streams }) => {
      if (this.#closed) return;
      const stream = streams[0] ?? new MediaStream([track]);
      // Firefox leaves in the stream what our answer refuses, and a video that has seen it waits for it for ever.
      track.onended = () => {
        const others = stream.getTracks().filter((other) => other !== track);
        if (!this.#closed && others.length > 0) events.stream(new MediaStream(others));
      };
      events.stream(stream);
    };
    peer.onconnectionstatechange = () => {
      if (!this.#closed) events.connection(peer.connectionState);
    };
    peer.onicecandidate = ({ candidate }) => {
      if (candidate && !this.#closed) events.candidate(candidate);
    };
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Takes an offer and hands our answer to `send`, before the browser has taken it in as well. */
  async answerTo(offerSdp: string, send: (answerSdp: string) => void): Promise<void> {
    await this.peer.setRemoteDescription({ type: "offer", sdp: offerSdp });
    this.#flushCandidates();
    const answer = await this.peer.createAnswer();
    const sdp = ours(answer.sdp);
    const taken = this.peer.setLocalDescription({ type: "answer", sdp });
    send(sdp);
    await taken;
  }

  /** Makes an offer to receive one picture and one sound. */
  async offer(): Promise<string> {
    askForCaptureTimes(this.peer.addTransceiver("video", { direction: "recvonly" }));
    askForCaptureTimes(this.peer.addTransceiver("audio", { direction: "recvonly" }));
    const offer = await this.peer.createOffer();
    const sdp = ours(offer.sdp);
    await this.peer.setLocalDescription({ type: "offer", sdp });
    return sdp;
  }

  /** Takes the answer to our offer. */
  async accept(answerSdp: string): Promise<void> {
    await this.peer.setRemoteDescription({ type: "answer", sdp: answerSdp });
    this.#flushCandidates();
  }

  /** Adds an address of the server's, also before the description it belongs to. */
  addCandidate(candidate: RTCIceCandidateInit): void {
    if (this.#closed) return;
    if (!this.#described) {
      this.#pendingCandidates.push(candidate);
      return;
    }
    // One address that makes no sense is no reason to give up on the others.
    this.peer.addIceCandidate(candidate).catch(() => undefined);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pendingCandidates = [];
    this.peer.ontrack = this.peer.onconnectionstatechange = this.peer.onicecandidate = null;
    this.peer.close();
  }

  #flushCandidates(): void {
    this.#described = true;
    for (const candidate of this.#pendingCandidates.splice(0)) this.addCandidate(candidate);
  }
}

/** What the browser describes, with what it can do and does not say of itself. */
const ours = (sdp = ""): string => withRoundTripReports(withStereo(sdp));
