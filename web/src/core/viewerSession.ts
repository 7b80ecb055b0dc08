import { seenPicture, type ShownPicture } from "./captureTimes";
import type { ClockOffset } from "./clockSync";
import { ClockWatch } from "./clockWatch";
import { type Endpoints, socketUrl, whepUrl } from "./config";
import type { LatencyMode } from "./latency";
import type { ChannelState, PlayoutWish, Uplink } from "./messages";
import { fitOffer, type MissingMedia, type Playable } from "./missingMedia";
import { Observable } from "./observable";
import { PeerLink } from "./peerLink";
import type { PlaybackStats } from "./playbackStats";
import { type Flowing, PlaybackWatch } from "./playbackWatch";
import { PlayoutControl } from "./playoutControl";
import { retryDelayMs } from "./retryPolicy";
import { candidateAddresses } from "./sdp";
import { secondTryAfterMs } from "./secondTry";
import type { Negotiator, SignalClient, SignalEvent } from "./signalClient";
import { SocketClient } from "./socketClient";
import { chooseTransport, rememberOutcome, type TransportMemory, type Transport } from "./transportChoice";
import type { Target } from "./target";
import { NOTHING, type Timeline, type ViewerSnapshot } from "./viewerSnapshot";
import { type Cause, next, type ViewerEvent } from "./viewerState";
import { type Presence, WhepClient } from "./whepClient";

/** From asking the server to media that can flow. Finding a path takes the browser up to 15 s before it says no. */
const JOIN_TIMEOUT_MS = 15_000;
/** A path that went silent often comes back: Wi-Fi, a lift. After this we build a new one. */
const PATH_PATIENCE_MS = 6_000;

/** What the session needs from the browser; tests bring their own. */
export interface SessionParts {
  readonly endpoints: Promise<Endpoints>;
  readonly makePeer: (configuration: RTCConfiguration) => RTCPeerConnection;
  readonly openSocket: (url: string) => WebSocket;
  /** What a socket to this address takes to open, as far as the browser has measured it, in milliseconds. */
  readonly openingMs: (url: string) => number | null;
  readonly fetch: typeof fetch;
  /** What the list of streams says about a target. */
  readonly presence: (target: Target) => Presence;
  /** The viewer's choice of a delay; it may change at any time. */
  readonly latency: Pick<Observable<LatencyMode>, "snapshot" | "subscribe">;
  readonly playable: Playable;
  /** See `restTargetMs` in `latency.ts`. */
  readonly restTargetMs: number | null;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  readonly nowMs: () => number;
  /** The viewer's own wish for a way to signal; null lets the session choose. */
  readonly forced: Transport | null;
  /** False where the browser has none or keeps it from pages. */
  readonly hasWebRtc: boolean;
}

/** Watches one target until it is closed: connects, notices trouble, connects again. Owns the peer connection. */
export class ViewerSession {
  readonly target: Target;
  readonly #parts: SessionParts;
  readonly #shown = new Observable<ViewerSnapshot>(NOTHING);
  /** Counts attempts; whatever comes from an older one is ignored. */
  #generation = 0;
  #running = false;
  #retries = 0;
  #memory: TransportMemory = { socketFailures: 0, socketOpened: false };
  #iceServers: readonly RTCIceServer[] = [];
  #client: SignalClient | null = null;
  /** The delay that the client asks for when it joins. */
  #askedInJoining: PlayoutWish | null = null;
  /** The peer connection that plays, or played until the connection was lost. */
  #link: PeerLink | null = null;
  /** Made while the server is being reached; it takes some milliseconds that nobody has to wait for. */
  #spare: PeerLink | null = null;
  readonly #watch: PlaybackWatch;
  #uplink: Uplink | null = null;
  readonly #playout: PlayoutControl;
  #stopFollowing: (() => void) | null = null;
  readonly #clock: ClockWatch;
  /** The browser does not play before the viewer asks for it. */
  #blocked = false;
  /** Of the newest offer. */
  #missing: readonly MissingMedia[] = [];
  /** The server's own addresses in its newest description. */
  #addresses: readonly string[] = [];
  #serverState: ChannelState | null = null;
  #retryTimer: Timer;
  #joinTimer: Timer;
  #pathTimer: Timer;

  constructor(target: Target, parts: SessionParts) {
    this.target = target;
    this.#parts = parts;
    this.#playout = new PlayoutControl(parts.latency.snapshot(), parts.restTargetMs);
    this.#clock = new ClockWatch(parts.nowMs);
    this.#watch = new PlaybackWatch({
      nowMs: parts.nowMs,
      random: parts.random,
      isLive: () => this.#shown.snapshot().state.kind === "live",
      expectsVideo: () => this.#expectsVideo(),
      clock: () => this.clock,
      uplink: () => this.#uplink,
      onFlow: (found) => {
        this.#onFlow(found);
      },
      onStall: (atMs, reason) => {
        this.#dispatch({ type: "stalled", atMs, reason });
      },
    });
  }

  readonly snapshot = (): ViewerSnapshot => this.#shown.snapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#shown.subscribe(listener);

  /** The figures of the last look at the peer connection, at most a second old while media flows. */
  get playback(): PlaybackStats | null {
    return this.#watch.playback;
  }

  /** For tests and the curious; nobody but the session may change it. */
  get peer(): RTCPeerConnection | null {
    return this.#link?.peer ?? null;
  }

  /** How the server's clock stands against ours; null before it was measured. */
  get clock(): ClockOffset | null {
    return this.#clock.offset;
  }

  /** How late the stream is already when it gets to the server; null: not known. */
  get uplink(): Uplink | null {
    return this.#uplink;
  }

  /** Keeps measuring the server's clock until the returned function is called. */
  readonly watchClock = (): (() => void) => this.#clock.watch();

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#retries = 0;
    const { latency } = this.#parts;
    const follow = (): void => {
      this.#playout.mode = latency.snapshot();
    };
    follow();
    this.#stopFollowing = latency.subscribe(follow);
    if (this.#parts.hasWebRtc) this.#attempt();
    else this.#dispatch({ type: "gave-up", cause: { code: "no-webrtc" } });
  }

  /** Ends everything. Twice is fine, and so is starting again afterwards. */
  close(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#stopFollowing?.();
    this.#leave();
    this.#dropLink();
    this.#shown.set(NOTHING);
  }

  /** Tries again now instead of later: the viewer asked for it, or the network is back. */
  readonly nudge = (): void => {
    const { kind } = this.#shown.snapshot().state;
    if (this.#running && this.#parts.hasWebRtc && (this.#retryTimer !== undefined || kind === "failed")) this.#attempt();
  };

  /**
   * The computer woke up, or the network is another one: what looks connected may be dead, and nobody would notice for
   * half a minute. Whoever waits for a retry need not; whoever is connected has to give a sign of life.
   */
  readonly verify = (): void => {
    this.nudge();
    if (!this.#running || !this.#client) return;
    if (this.#link?.peer.connectionState === "disconnected") {
      this.#lost({ code: "path-lost" }, false);
      return;
    }
    this.#clock.verify(() => {
      this.#lost({ code: "socket-lost" }, false);
    });
  };

  /** Asks for a layer of the picture by name, also from servers to come; null: as the network permits. */
  readonly pickLayer = (rid: string | null): void => {
    this.#show({ layer: rid });
    this.#client?.sendLayer(rid);
  };

  /** Whether the browser lets the video play without being asked by the viewer. */
  readonly playBlocked = (blocked: boolean): void => {
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    const { kind } = this.#shown.snapshot().state;
    // Pictures come although nobody sees them.
    if (kind === "autoplay-blocked" || (blocked && (kind === "live" || kind === "waiting"))) this.#onPicture();
  };

  /** The video element shows this picture, and tells of one now and then. */
  readonly pictureOnScreen = (shown: ShownPicture): void => {
    const receiver = this.#link?.peer.getReceivers().find(({ track }) => track.kind === "video");
    this.#watch.seen(seenPicture(receiver?.getSynchronizationSources()[0], shown));
  };

  /** The video element has shown a picture of the newest stream. */
  readonly pictureShown = (stream: MediaStream): void => {
    if (!this.#client || stream !== this.#shown.snapshot().stream) return;
    // Chromium shows a black picture of its own when a new stream takes the place of one that never had any.
    const state = this.#link?.peer.iceConnectionState;
    if (state === "connected" || state === "completed") this.#onPicture();
  };

  #attempt(): void {
    this.#leave();
    const generation = ++this.#generation;
    this.#watch.reset();
    this.#serverState = null;
    this.#dispatch({ type: "attempt", attempt: this.#retries + 1 });
    this.#missing = [];
    this.#show({ timeline: {}, notice: null });
    void this.#parts.endpoints.then((endpoints) => {
      if (this.#isCurrent(generation)) this.#connect(generation, endpoints);
    });
  }

  #connect(generation: number, endpoints: Endpoints): void {
    this.#iceServers = endpoints.iceServers;
    const transport = chooseTransport(this.#memory, this.#parts.forced);
    this.#show({ transport });
    this.#mark("signalingStartMs");
    this.#armJoinTimer();
    const client = this.#makeClient(transport, generation, endpoints);
    this.#client = client;
    client.open();
    // Over WHEP the offer has made its link already. And the socket may have been refused on the spot.
    if (transport === "websocket" && this.#isCurrent(generation)) this.#spare = this.#makeLink(generation);
  }

  #makeClient(transport: Transport, generation: number, endpoints: Endpoints): SignalClient {
    const listener = (event: SignalEvent): void => {
      if (this.#isCurrent(generation)) this.#onSignal(event);
    };
    const negotiator = this.#negotiator(generation);
    this.#askedInJoining = transport === "whep" ? this.#playout.wish : null;
    if (transport === "websocket") {
      const url = socketUrl(endpoints, this.target);
      // A server that comes back to a crowd should not be knocked at twice by everybody.
      const first = this.#retries === 0 && !this.#memory.socketOpened;
      const secondTry = first ? secondTryAfterMs(this.#parts.openingMs(url)) : null;
      return new SocketClient(url, this.#parts.openSocket, negotiator, listener, secondTry);
    }
    return new WhepClient(
      whepUrl(endpoints, this.target, this.#askedInJoining),
      this.#parts.fetch,
      this.#parts.presence(this.target),
      negotiator,
      listener,
    );
  }

  #negotiator(generation: number): Negotiator {
    const current = (): void => {
      if (!this.#isCurrent(generation)) throw new Error("this attempt is over");
    };
    return {
      answerTo: async (offer, send) => {
        current();
        this.#addresses = candidateAddresses(offer);
        const { sdp, missing } = fitOffer(offer, this.#parts.playable);
        this.#missing = missing;
        const link = this.#freshLink(generation);
        this.#enter("joining");
        try {
          await link.answerTo(sdp, (answer) => {
            if (!link.closed) send(answer);
          });
          this.#mark("describedMs");
        } catch (error) {
          if (!link.closed) throw error;
        }
      },
      offer: async () => {
        current();
        return this.#freshLink(generation).offer();
      },
      accept: async (answer) => {
        current();
        this.#addresses = candidateAddresses(answer);
        this.#enter("joining");
        await this.#link?.accept(answer);
        this.#mark("describedMs");
      },
      // Candidates may run ahead of the first offer; the link to come keeps them until then.
      addCandidate: (candidate) => {
        if (this.#isCurrent(generation)) (this.#spare ?? this.#link)?.addCandidate(candidate);
      },
    };
  }

  #onSignal(event: SignalEvent): void {
    switch (event.type) {
      case "open":
        this.#memory = rememberOutcome(this.#memory, this.#shown.snapshot().transport, "opened");
        this.#mark("signalingOpenMs");
        this.#playout.signaling(this.#client?.sendPlayout.bind(this.#client) ?? null, this.#askedInJoining);
        this.#clock.signaling(this.#client?.askClock.bind(this.#client) ?? null);
        if (this.#shown.snapshot().layer !== null) this.#client?.sendLayer(this.#shown.snapshot().layer);
        this.#dispatch({ type: "step", step: "negotiating" });
        return;
      case "viewers":
        this.#show({ viewers: event.count });
        return;
      case "state":
        if (event.name !== null) this.#show({ title: event.name });
        this.#show({ layers: event.layers });
        this.#onServerState(event.state);
        return;
      case "playout":
        this.#playout.allowed(event.maxMs);
        return;
      case "clock":
        this.#clock.answer(event.clientUs, event.serverUs);
        return;
      case "uplink":
        this.#uplink = event.uplink;
        return;
      case "notice":
        this.#show({ notice: this.#withMissing(event.cause) });
        return;
      case "closed":
        this.#memory = rememberOutcome(this.#memory, this.#shown.snapshot().transport, event.cause.code);
        this.#lost(this.#withMissing(event.cause), event.final);
        return;
    }
  }

  #onServerState(state: ChannelState): void {
    // Whoever tells the state will also send the offer when there is something to offer.
    if (state !== "live") clearTimeout(this.#joinTimer);
    this.#serverState = state;
    if (state === "offline") {
      this.#retries = 0;
      clearTimeout(this.#pathTimer);
      this.#watch.stop();
      this.#dropLink();
      this.#show({ viewers: null });
    }
    this.#dispatch({ type: "server", state });
  }

  #onConnection(state: RTCPeerConnectionState): void {
    switch (state) {
      case "connected":
        clearTimeout(this.#joinTimer);
        clearTimeout(this.#pathTimer);
        this.#mark("connectedMs");
        this.#dispatch({ type: "joined" });
        // Whoever joins while the streamer's line is broken gets the last picture, and should know.
        if (this.#serverState === "away") this.#dispatch({ type: "server", state: "away" });
        if (this.#link) this.#watch.watch(this.#link);
        return;
      case "disconnected":
        clearTimeout(this.#pathTimer);
        this.#pathTimer = setTimeout(() => {
          this.#lost({ code: "path-lost" }, false);
        }, PATH_PATIENCE_MS);
        return;
      case "failed":
      case "closed":
        this.#lost(
          this.#shown.snapshot().timeline.connectedMs === undefined ? this.#pathBlocked() : { code: "path-lost" },
          false,
        );
        return;
      case "new":
      case "connecting":
        return;
    }
  }

  #onPicture(): void {
    this.#retries = 0;
    this.#playout.pictured();
    this.#mark("firstPictureMs");
    this.#dispatch({ type: "picture", blocked: this.#blocked });
  }

  #lost(cause: Cause, final: boolean): void {
    if (!this.#running || this.#client === null) return;
    this.#leave();
    this.#show({ viewers: null });
    // The last picture stays while we try again, but not when the broadcast itself is over.
    if (final || cause.code === "ended" || cause.code === "no-stream") this.#dropLink();
    if (final) {
      this.#dispatch({ type: "gave-up", cause });
      return;
    }
    const inMs = retryDelayMs(this.#retries, this.#parts.random);
    this.#retries += 1;
    this.#dispatch({ type: "lost", cause, inMs, attempt: this.#retries + 1 });
    this.#retryTimer = setTimeout(() => {
      this.#attempt();
    }, inMs);
  }

  /** Ends the current attempt without a word about what comes next. */
  #leave(): void {
    this.#generation += 1;
    for (const timer of [this.#retryTimer, this.#joinTimer, this.#pathTimer]) clearTimeout(timer);
    this.#watch.stop();
    this.#clock.signaling(null);
    this.#uplink = null;
    this.#retryTimer = undefined;
    this.#client?.close();
    this.#client = null;
    this.#spare?.close();
    this.#spare = null;
  }

  #dropLink(): void {
    this.#link?.close();
    this.#link = null;
    this.#playout.playing(null);
    this.#show({ stream: null });
  }

  /** A link for a new description: each offer is a new session of the server's. */
  #freshLink(generation: number): PeerLink {
    const link = this.#spare ?? this.#makeLink(generation);
    this.#spare = null;
    this.#link?.close();
    this.#link = link;
    this.#playout.playing(link.peer);
    this.#watch.renew();
    return link;
  }

  #makeLink(generation: number): PeerLink {
    // Chromium cannot answer for the sound alone (it lacks the picture's codec) where everything has to go over the first
    // section's transport: "Failed to setup RTCP mux". What is bundled in the end is the same.
    const peer = this.#parts.makePeer({ bundlePolicy: "balanced", iceServers: [...this.#iceServers] });
    const link: PeerLink = new PeerLink(peer, {
      stream: (stream) => {
        if (this.#isCurrent(generation)) this.#show({ stream });
      },
      connection: (state) => {
        if (this.#isCurrent(generation) && this.#link === link) this.#onConnection(state);
      },
      candidate: (candidate) => {
        if (this.#isCurrent(generation)) this.#client?.sendCandidate(candidate);
      },
    });
    return link;
  }

  #armJoinTimer(): void {
    clearTimeout(this.#joinTimer);
    this.#joinTimer = setTimeout(() => {
      const { state } = this.#shown.snapshot();
      const joining = state.kind === "connecting" && state.step === "joining";
      this.#lost(joining ? this.#pathBlocked() : { code: "unreachable" }, false);
    }, JOIN_TIMEOUT_MS);
  }

  #withMissing(cause: Cause): Cause {
    return cause.code === "codec" && this.#missing.length > 0 ? { ...cause, missing: this.#missing } : cause;
  }

  #pathBlocked(): Cause {
    return this.#addresses.length === 0 ? { code: "path-blocked" } : { code: "path-blocked", addresses: this.#addresses };
  }

  #enter(step: "joining"): void {
    this.#armJoinTimer();
    this.#dispatch({ type: "step", step });
  }

  #onFlow({ delayMs, recoveryMs }: Flowing): void {
    this.#onPicture();
    this.#clock.glance();
    this.#playout.recoveryMs = recoveryMs;
    if (delayMs !== null) this.#client?.sendDelay(delayMs);
  }

  #expectsVideo(): boolean {
    const tracks = this.#shown.snapshot().stream?.getVideoTracks() ?? [];
    return tracks.some((track) => track.readyState === "live");
  }

  #isCurrent(generation: number): boolean {
    return this.#running && generation === this.#generation;
  }

  #mark(step: keyof Timeline): void {
    const { timeline } = this.#shown.snapshot();
    if (timeline[step] === undefined) this.#show({ timeline: { ...timeline, [step]: this.#parts.nowMs() } });
  }

  #dispatch(event: ViewerEvent): void {
    this.#show({ state: next(this.#shown.snapshot().state, event) });
  }

  #show(change: Partial<ViewerSnapshot>): void {
    const before = this.#shown.snapshot();
    const keys = Object.keys(change) as (keyof ViewerSnapshot)[];
    if (keys.some((key) => !Object.is(before[key], change[key]))) this.#shown.set({ ...before, ...change });
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;
