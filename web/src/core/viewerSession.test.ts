import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fakeSession, fakeStream, joining, newest, OFFER, pass } from "../testing/fakes";
import { isPictureMissing } from "./viewerSnapshot";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A session that has come as far as a moving picture. */
async function playing() {
  const all = await joining();
  newest(all.peers).framesDecoded = 1;
  await pass(300);
  return all;
}

describe("a session over the WebSocket", () => {
  it("goes from asking to live, and answers with stereo", async () => {
    const { session, sockets, peers } = fakeSession();
    expect(session.snapshot().state.kind).toBe("idle");
    session.start();
    await pass();
    expect(newest(sockets).url).toBe("wss://tower.example/websocket?channel=dawn");
    expect(session.snapshot().state).toEqual({ kind: "connecting", step: "reaching", attempt: 1 });
    newest(sockets).accept();
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", step: "negotiating" });
    newest(sockets).say("offer", OFFER);
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", step: "joining" });
    await pass();
    expect(newest(sockets).answers).toEqual([expect.stringContaining("a=fmtp:97 minptime=10;stereo=1")]);
    newest(peers).become("connected");
    expect(session.snapshot().state.kind).toBe("waiting");
    session.pictureShown(newest(peers).stream);
    expect(session.snapshot().state.kind).toBe("live");
    expect(session.snapshot().timeline.firstPictureMs).toBeGreaterThanOrEqual(0);
    expect(peers).toHaveLength(1);
  });

  it("knocks a second time where the first packet seems to be lost", async () => {
    const { session, sockets } = fakeSession(undefined, { openingMs: () => 80 });
    session.start();
    await pass(125);
    expect(sockets).toHaveLength(1);
    await pass(10);
    expect(sockets.map((socket) => socket.readyState)).toEqual([3, 0]);
    await pass(2_000);
    newest(sockets).accept();
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", step: "negotiating" });
    expect(sockets).toHaveLength(2);
  });

  it("does not knock twice at a server that comes back", async () => {
    const { session, sockets } = fakeSession(undefined, { openingMs: () => 80 });
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).drop();
    session.nudge();
    await pass(2_000);
    expect(sockets).toHaveLength(2);
  });

  it("knocks once where the way is long or unknown, and not again once the socket is open", async () => {
    for (const openingMs of [null, 1000]) {
      const { session, sockets } = fakeSession(undefined, { openingMs: () => openingMs });
      session.start();
      await pass(2_000);
      expect(sockets).toHaveLength(1);
    }
    const { session, sockets } = fakeSession(undefined, { openingMs: () => 80 });
    session.start();
    await pass(100);
    newest(sockets).accept();
    await pass(2_000);
    expect(sockets.map((socket) => socket.readyState)).toEqual([1]);
  });

  it("knows from the figures that pictures move, even in a tab nobody sees", async () => {
    const { session } = await playing();
    expect(session.snapshot().state.kind).toBe("live");
    expect(session.playback?.video?.framesDecoded).toBe(1);
  });

  it("does not take the browser's own black picture for the stream's while no way is found", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("offer", OFFER);
    await pass();
    newest(peers).become("connecting");
    session.pictureShown(newest(peers).stream);
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", step: "joining" });
    // The first real one may come before the browser says that it is connected.
    newest(peers).pathFound = true;
    session.pictureShown(newest(peers).stream);
    expect(session.snapshot().state.kind).toBe("live");
  });

  it("names the server's addresses when nothing comes through", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("offer", { type: "offer", sdp: "v=0\r\na=candidate:1 1 udp 1 203.0.113.5 20000 typ host\r\n" });
    await pass();
    newest(peers).become("failed");
    const cause = { code: "path-blocked", addresses: ["203.0.113.5:20000"] };
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", cause });
  });

  it("measures the server's clock while somebody wants to know", async () => {
    const { session, sockets, peers } = await playing();
    const socket = newest(sockets);
    const asked = () => socket.sent.filter((message) => message.event === "clock").map((message) => Number(message.data["client_us"]));
    // Playing asks now and then: the answer also says how late the stream comes to the server.
    expect(asked()).toHaveLength(1);
    for (let second = 0; second < 12; second += 1) {
      newest(peers).framesDecoded += 30;
      await pass(1_000);
    }
    expect(asked()).toHaveLength(2);
    const stop = session.watchClock();
    expect(asked()).toHaveLength(3);
    const first = asked().at(-1) ?? 0;
    socket.say("clock", { client_us: first, server_us: first + 5_000_000, uplink: { delay_ms: 30, arrival_ms: 30, basis: "capture" } });
    expect(session.clock?.offsetMs).toBeCloseTo(5_000, 0);
    expect(session.uplink).toEqual({ delay_ms: 30, arrival_ms: 30, basis: "capture" });
    await pass(2_000);
    expect(asked()).toHaveLength(2 + 8);
    await pass(30_000);
    // Every two seconds from then on: the way to the server changes.
    expect(asked()).toHaveLength(2 + 8 + 15);
    stop();
    stop();
    const count = asked().length;
    await pass(120_000);
    expect(asked()).toHaveLength(count);
  });

  it("takes a server that gives no sign of life after a sleep for dead, and one that does not", async () => {
    const { session, sockets } = await playing();
    const socket = newest(sockets);
    const answer = () => {
      const { data } = newest(socket.sent.filter((message) => message.event === "clock"));
      socket.say("clock", { ...data, server_us: 1 });
    };
    session.verify();
    answer();
    await pass(10_000);
    expect(sockets).toHaveLength(1);
    session.verify();
    await pass(3_900);
    expect(sockets).toHaveLength(1);
    await pass(400);
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", attempt: 2 });
    expect(sockets).toHaveLength(2);
  });

  it("builds a new way at once when the old one is broken and the network is another one", async () => {
    const { session, sockets, peers } = await playing();
    newest(peers).become("disconnected");
    session.verify();
    await pass(300);
    expect(sockets).toHaveLength(2);
  });

  it("says that the browser wants a click, for as long as it does", async () => {
    const { session, peers } = await playing();
    session.playBlocked(true);
    expect(session.snapshot().state.kind).toBe("autoplay-blocked");
    newest(peers).framesDecoded += 30;
    await pass(1_000);
    expect(session.snapshot().state.kind).toBe("autoplay-blocked");
    session.playBlocked(false);
    expect(session.snapshot().state.kind).toBe("live");
  });

  it("keeps candidates that run ahead of the offer", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("candidate", { candidate: "candidate:1 1 udp 1 192.0.2.1 20000 typ host", sdpMid: "0" });
    expect(newest(peers).candidates).toEqual([]);
    newest(sockets).say("offer", OFFER);
    await pass();
    expect(newest(peers).candidates).toHaveLength(1);
    newest(sockets).say("candidate", { candidate: "candidate:2 1 udp 1 192.0.2.2 20000 typ host", sdpMid: "0" });
    expect(newest(peers).candidates).toHaveLength(2);
  });

  it("tells the server its own candidates", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("offer", OFFER);
    await pass();
    newest(peers).onicecandidate?.({ candidate: { candidate: "candidate:7", sdpMid: "0", sdpMLineIndex: 0, usernameFragment: null } });
    newest(peers).onicecandidate?.({ candidate: null });
    expect(newest(sockets).sent.filter((message) => message.event === "candidate")).toEqual([
      { event: "candidate", data: { candidate: "candidate:7", sdpMid: "0", sdpMLineIndex: 0, usernameFragment: null } },
    ]);
  });

  it("shows viewers, title and what is missing", async () => {
    const { session, sockets } = await playing();
    newest(sockets).say("info", { no_connections: 3 });
    newest(sockets).say("state", { state: "live", name: "Dawn over the ridge" });
    newest(sockets).say("error", { code: "codec-not-supported", message: "no H.264 here" });
    newest(sockets).say("something new", {});
    newest(sockets).onmessage?.({ data: "{" });
    expect(session.snapshot()).toMatchObject({
      viewers: 3,
      title: "Dawn over the ridge",
      notice: { code: "codec", detail: "no H.264 here" },
      state: { kind: "live" },
    });
  });

  it("knows which format is missing, and whether that is the picture's", async () => {
    const { session, sockets } = fakeSession(undefined, { playable: (kind) => new Set([kind === "video" ? "vp8" : "opus"]) });
    session.start();
    await pass();
    newest(sockets).accept();
    const sdp = "v=0\r\nm=video 9 X 102\r\na=rtpmap:102 H264/90000\r\nm=audio 9 X 111\r\na=rtpmap:111 opus/48000/2\r\n";
    newest(sockets).say("offer", { type: "offer", sdp });
    await pass();
    newest(sockets).say("error", { code: "missing_codec", message: "" });
    const { notice } = session.snapshot();
    expect(notice).toEqual({ code: "codec", missing: [{ kind: "video", codec: "h264" }] });
    const stream = { getVideoTracks: () => [] } as unknown as MediaStream;
    expect(isPictureMissing({ notice, stream })).toBe(true);
    expect(isPictureMissing({ notice: { code: "codec", missing: [{ kind: "audio", codec: "opus" }] }, stream })).toBe(false);
    expect(isPictureMissing({ notice: { code: "codec" }, stream })).toBe(true);
    expect(isPictureMissing({ notice, stream: null })).toBe(false);
    expect(isPictureMissing({ notice: null, stream })).toBe(false);
  });

  it("makes a new peer connection for the offer that follows a lost socket, and shows the old picture until then", async () => {
    const { session, sockets, peers } = await playing();
    const [first] = peers;
    const firstStream = session.snapshot().stream;
    newest(sockets).drop();
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", cause: { code: "socket-lost" }, inMs: 250 });
    expect(session.snapshot().stream).toBe(firstStream);
    await pass(250);
    expect(sockets).toHaveLength(2);
    newest(sockets).accept();
    expect(first?.closed).toBe(0);
    newest(sockets).say("offer", OFFER);
    await pass();
    expect(first?.closed).toBe(1);
    expect(peers).toHaveLength(2);
    expect(newest(peers).remoteDescriptions).toHaveLength(1);
    expect(session.snapshot().stream).toBe(newest(peers).stream);
  });

  it("ignores whatever an attempt that is over still says", async () => {
    const { session, sockets, peers } = await playing();
    const [socket] = sockets;
    const [peer] = peers;
    newest(sockets).drop();
    await pass(250);
    socket?.say("state", { state: "away" });
    peer?.become("failed");
    session.pictureShown(fakeStream());
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", attempt: 2 });
  });

  it("takes a second offer on the same socket as a new session", async () => {
    const { session, sockets, peers } = await playing();
    newest(sockets).say("state", { state: "offline" });
    expect(session.snapshot()).toMatchObject({ state: { kind: "offline", ended: true }, stream: null });
    newest(sockets).say("state", { state: "live" });
    newest(sockets).say("offer", OFFER);
    await pass();
    newest(peers).become("connected");
    newest(peers).framesDecoded = 5;
    await pass(300);
    expect(peers).toHaveLength(2);
    expect(session.snapshot().state.kind).toBe("live");
  });

  it("is not upset when two offers come at once", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("offer", OFFER);
    newest(sockets).say("offer", OFFER);
    await pass();
    expect(session.snapshot().state).toMatchObject({ kind: "connecting", step: "joining" });
    expect(peers.map((peer) => peer.closed)).toEqual([1, 0]);
  });

  it("doubles its patience with each failure and starts afresh after a picture", async () => {
    const { session, sockets, peers } = fakeSession(undefined, { forced: "websocket" });
    session.start();
    await pass();
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      newest(sockets).drop();
      const { state } = session.snapshot();
      if (state.kind !== "retrying") throw new Error(state.kind);
      waits.push(state.inMs);
      await pass(state.inMs);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    newest(sockets).accept();
    newest(sockets).say("offer", OFFER);
    await pass();
    newest(peers).become("connected");
    session.pictureShown(newest(peers).stream);
    newest(sockets).drop();
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", inMs: 250 });
  });

  it("tries at once when it is nudged, and only when it waits", async () => {
    const { session, sockets } = await playing();
    session.nudge();
    expect(sockets).toHaveLength(1);
    newest(sockets).drop();
    session.nudge();
    await pass();
    expect(sockets).toHaveLength(2);
    await pass(5000);
    expect(sockets).toHaveLength(2);
  });

  it("says that the stream ended, and waits for the next one", async () => {
    const { session, sockets } = await playing();
    newest(sockets).say("close", { code: "stream-ended", message: "the stream has ended" });
    newest(sockets).drop();
    expect(session.snapshot()).toMatchObject({ state: { kind: "offline", ended: true }, stream: null, viewers: null });
    await pass(250);
    newest(sockets).accept();
    newest(sockets).say("state", { state: "offline", channel: "dawn" });
    expect(session.snapshot().state).toEqual({ kind: "offline", ended: true });
    await pass(60_000);
    expect(session.snapshot().state).toEqual({ kind: "offline", ended: true });
    expect(sockets).toHaveLength(2);
  });

  it("keeps the connection while the streamer is away", async () => {
    const { session, sockets, peers } = await playing();
    newest(sockets).say("state", { state: "away" });
    await pass(10_000);
    expect(session.snapshot().state).toEqual({ kind: "away" });
    newest(sockets).say("state", { state: "live" });
    newest(peers).framesDecoded = 50;
    await pass(1000);
    expect(session.snapshot().state.kind).toBe("live");
    expect(peers).toHaveLength(1);
  });

  it("tells somebody who joins meanwhile that the streamer is away", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("state", { state: "away" });
    newest(sockets).say("offer", OFFER);
    await pass();
    newest(peers).become("connected");
    expect(session.snapshot().state).toEqual({ kind: "away" });
  });

  it("notices pictures that stop and pictures that come back", async () => {
    const { session, peers } = await playing();
    await pass(4000);
    expect(session.snapshot().state.kind).toBe("stalled");
    newest(peers).framesDecoded = 9;
    await pass(300);
    expect(session.snapshot().state.kind).toBe("live");
  });

  it("gives a silent path some seconds, then builds a new one", async () => {
    const { session, sockets, peers } = await playing();
    newest(peers).become("disconnected");
    await pass(3000);
    newest(peers).become("connected");
    newest(peers).framesDecoded = 9;
    await pass(5000);
    expect(sockets).toHaveLength(1);
    newest(peers).become("disconnected");
    await pass(6000);
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", cause: { code: "path-lost" } });
  });

  it("says that the network lets no media through", async () => {
    const { session, sockets } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("offer", OFFER);
    await pass(15_000);
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", cause: { code: "path-blocked" } });
  });

  it("gives up on a server that accepts and says nothing", async () => {
    const { session, sockets } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    await pass(15_000);
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", cause: { code: "unreachable" } });
  });

  it("tries an offer that makes no sense again later", async () => {
    const { session, sockets } = fakeSession();
    session.start();
    await pass();
    newest(sockets).accept();
    newest(sockets).say("offer", { type: "offer", sdp: "nonsense" });
    await pass();
    expect(session.snapshot().state).toMatchObject({ kind: "retrying", cause: { code: "description" } });
  });

  it("can be closed twice and started again", async () => {
    const { session, sockets, peers } = await playing();
    session.close();
    session.close();
    expect(session.snapshot()).toMatchObject({ state: { kind: "idle" }, stream: null });
    expect(newest(sockets).readyState).toBe(3);
    expect(newest(peers).closed).toBe(1);
    await pass(60_000);
    expect(sockets).toHaveLength(1);
    session.start();
    await pass();
    expect(sockets).toHaveLength(2);
  });

  it("ends before it has begun when it is closed at once", async () => {
    const { session, sockets, peers } = fakeSession();
    session.start();
    session.close();
    await pass(1000);
    expect(sockets).toHaveLength(0);
    expect(peers).toHaveLength(0);
  });

  it("says so when the browser has no WebRTC", () => {
    const { session } = fakeSession(undefined, { hasWebRtc: false });
    session.start();
    session.nudge();
    expect(session.snapshot().state).toEqual({ kind: "failed", cause: { code: "no-webrtc" } });
  });
});

describe("a session over WHEP", () => {
  const created = () =>
    new Response("v=0\r\n", { status: 201, headers: { location: "/whep/session/abc", "content-type": "application/sdp" } });
  const problem = (status: number, code: string) =>
    new Response(JSON.stringify({ code, title: "", status, detail: "in words" }), { status });

  it("offers, takes the answer, and takes its leave", async () => {
    const { session, sockets, peers, fetches } = fakeSession(undefined, { forced: "whep" });
    fetches.mockImplementation(() => Promise.resolve(created()));
    session.start();
    await pass();
    expect(sockets).toHaveLength(0);
    const [url, request] = newest(fetches.mock.calls);
    expect(url).toBe("https://tower.example/whep/dawn");
    expect(request).toMatchObject({ method: "POST", headers: { "content-type": "application/sdp" } });
    expect(request?.body).toContain("a=fmtp:111 stereo=1");
    expect(newest(peers).transceivers).toEqual(["video", "audio"]);
    newest(peers).become("connected");
    expect(session.snapshot()).toMatchObject({ state: { kind: "waiting" }, transport: "whep" });
    session.close();
    expect(newest(fetches.mock.calls)).toMatchObject(["https://tower.example/whep/session/abc", { method: "DELETE" }]);
    expect(fetches).toHaveBeenCalledTimes(2);
  });

  it("gives back a place that was granted after the viewer had left", async () => {
    const { session, fetches } = fakeSession(undefined, { forced: "whep" });
    let grant: (reply: Response) => void = () => undefined;
    fetches.mockImplementationOnce(() => new Promise((resolve) => (grant = resolve)));
    session.start();
    await pass();
    session.close();
    fetches.mockImplementation(() => Promise.resolve(new Response(null, { status: 200 })));
    grant(created());
    await pass();
    expect(newest(fetches.mock.calls)).toMatchObject(["https://tower.example/whep/session/abc", { method: "DELETE" }]);
  });

  it.each([
    [404, "unknown-stream", { kind: "offline", ended: false }],
    [422, "codec-not-supported", { kind: "failed", cause: { code: "codec", detail: "in words" } }],
    [503, "full", { kind: "retrying", cause: { code: "full" } }],
    [500, "internal", { kind: "retrying", cause: { code: "other", detail: "in words" } }],
  ])("understands %i %s", async (status, code, state) => {
    const { session, fetches } = fakeSession(undefined, { forced: "whep" });
    fetches.mockImplementation(() => Promise.resolve(problem(status, code)));
    session.start();
    await pass();
    expect(session.snapshot().state).toMatchObject(state);
  });

  it("takes over when the WebSocket cannot be opened twice", async () => {
    const { session, sockets, fetches } = fakeSession();
    fetches.mockImplementation(() => Promise.resolve(created()));
    session.start();
    await pass();
    newest(sockets).drop();
    await pass(250);
    expect(fetches).not.toHaveBeenCalled();
    newest(sockets).drop();
    await pass(500);
    expect(sockets).toHaveLength(2);
    expect(session.snapshot().transport).toBe("whep");
    expect(fetches).toHaveBeenCalledTimes(1);
  });

  it("asks for the clock beside the session", async () => {
    const { session, peers, fetches } = fakeSession(undefined, { forced: "whep" });
    const asked: unknown[] = [];
    fetches.mockImplementation((url, init) => {
      if (url !== "https://tower.example/whep/session/abc/messages") return Promise.resolve(created());
      const { event, data } = JSON.parse(init?.body as string) as { event: string; data: { client_us: number } };
      asked.push(event);
      const answer = { ...data, server_us: data.client_us + 7_000_000, uplink: { delay_ms: 50, arrival_ms: 50, basis: "network" } };
      return Promise.resolve(new Response(JSON.stringify({ event, data: answer }), { status: 200 }));
    });
    session.start();
    await pass();
    newest(peers).become("connected");
    newest(peers).framesDecoded = 1;
    await pass(300);
    expect(asked).toEqual(["clock"]);
    expect(session.clock?.offsetMs).toBeCloseTo(7_000, -1);
    expect(session.uplink).toEqual({ delay_ms: 50, arrival_ms: 50, basis: "network" });
  });

  it("asks for more delay over WHEP while it plays", async () => {
    const { session, peers, fetches, latency } = fakeSession(undefined, { forced: "whep" });
    const asked: unknown[] = [];
    fetches.mockImplementation((url, init) => {
      if (typeof url !== "string" || !url.endsWith("/messages")) return Promise.resolve(created());
      const { event, data } = JSON.parse(init?.body as string) as { event: string; data: unknown };
      if (event !== "playout") return Promise.resolve(new Response(null, { status: 204 }));
      asked.push(data);
      const answer = { event, data: { min_ms: 0, max_ms: 2_000, limit_ms: 4_000 } };
      return Promise.resolve(new Response(JSON.stringify(answer), { status: 200 }));
    });
    session.start();
    await pass();
    newest(peers).become("connected");
    expect(asked).toEqual([]);
    latency.set("smooth");
    await pass();
    expect(asked).toEqual([{ min_ms: 0, max_ms: 1_250 }]);
  });

  it("asks for a layer over WHEP, also one that was picked before", async () => {
    const { session, peers, fetches } = fakeSession(undefined, { forced: "whep" });
    const asked: unknown[] = [];
    fetches.mockImplementation((url, init) => {
      if (typeof url !== "string" || !url.endsWith("/messages")) return Promise.resolve(created());
      const message = JSON.parse(init?.body as string) as { event: string; data: unknown };
      if (message.event === "layer") asked.push(message.data);
      return Promise.resolve(new Response(null, { status: 204 }));
    });
    session.pickLayer("l");
    session.start();
    await pass();
    newest(peers).become("connected");
    session.pickLayer(null);
    await pass();
    expect(asked).toEqual(["l", null]);
  });

  it("learns from the list of streams what WHEP does not say", async () => {
    const entry = { channel: "dawn", name: "Dawn", port: 1, since_ms: 0, state: "away", viewers: 4, bitrate_bps: 0, tracks: [], uplink: { delay_ms: 40, arrival_ms: 40, basis: "network" }, warnings: [] };
    let tell: (one: unknown) => void = () => undefined;
    const presence = () => (listener: (one: never) => void) => {
      tell = listener as (one: unknown) => void;
      return () => undefined;
    };
    const { session, peers, fetches } = fakeSession(undefined, { forced: "whep", presence });
    fetches.mockImplementation(() => Promise.resolve(created()));
    session.start();
    await pass();
    newest(peers).become("connected");
    tell(entry);
    expect(session.snapshot()).toMatchObject({ viewers: 4, title: "Dawn", state: { kind: "away" } });
    expect(session.uplink).toEqual({ delay_ms: 40, arrival_ms: 40, basis: "network" });
    const layers = [{ rid: "h", width: 1280, height: 720 }, { rid: "l", width: 320, height: 180 }];
    const flowing = (bitrate: number) => layers.map((layer) => ({ ...layer, fps: 30, bitrate_bps: bitrate }));
    tell({ ...entry, layers: flowing(1) });
    const shown = session.snapshot().layers;
    expect(shown.map(({ rid }) => rid)).toEqual(["h", "l"]);
    tell({ ...entry, layers: flowing(2) });
    expect(session.snapshot().layers, "no news").toBe(shown);
    tell(null);
    expect(session.snapshot().state).toEqual({ kind: "offline", ended: true });
  });
});
