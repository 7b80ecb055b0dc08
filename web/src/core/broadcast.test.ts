import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Broadcast, type BroadcastState } from "./broadcast";
import type { PictureInPicture } from "./pictureInPicture";

class FakeTrack {
  onended: (() => void) | null = null;
  stopped = false;
  readonly kind: "video" | "audio";
  constructor(kind: "video" | "audio") {
    this.kind = kind;
  }
  stop(): void {
    this.stopped = true;
  }
}

class FakeStream {
  readonly #tracks: FakeTrack[];
  constructor(tracks: FakeTrack[]) {
    this.#tracks = tracks;
  }
  getTracks = (): FakeTrack[] => this.#tracks;
  getVideoTracks = (): FakeTrack[] => this.#tracks.filter(({ kind }) => kind === "video");
  getAudioTracks = (): FakeTrack[] => this.#tracks.filter(({ kind }) => kind === "audio");
}

class FakePeer {
  connectionState = "new";
  onconnectionstatechange: (() => void) | null = null;
  localDescription = { sdp: "offer" };
  replaced: unknown[] = [];
  closed = false;
  addTransceiver = () => ({
    sender: { replaceTrack: (track: unknown) => Promise.resolve(this.replaced.push(track)) },
    setCodecPreferences: () => undefined,
  });
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => Promise.resolve();
  close(): void {
    this.closed = true;
  }
  becomes(state: string): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

function world({ answers = [] as Response[], refuse = null as string | null, devices = true } = {}) {
  const opened: FakeTrack[] = [];
  const asked: unknown[] = [];
  const media = (kinds: FakeTrack["kind"][]) => {
    if (refuse !== null) return Promise.reject(Object.assign(new Error(), { name: refuse }));
    const tracks = kinds.map((kind) => new FakeTrack(kind));
    opened.push(...tracks);
    return Promise.resolve(new FakeStream(tracks));
  };
  const requests: [string, RequestInit | undefined][] = [];
  const peers: FakePeer[] = [];
  const broadcast = new Broadcast({
    devices: devices
      ? ({
          getUserMedia: (wanted: { video?: unknown }) => {
            asked.push(wanted);
            return media([wanted.video === undefined ? "audio" : "video"]);
          },
          getDisplayMedia: () => media(["video"]),
          enumerateDevices: () =>
            Promise.resolve([
              { kind: "videoinput", deviceId: "c1", label: "Front" },
              { kind: "audioinput", deviceId: "m1", label: "Desk" },
            ]),
        } as unknown as MediaDevices)
      : undefined,
    fetch: (url, init) => {
      requests.push([typeof url === "string" ? url : "", init]);
      return Promise.resolve(answers.shift() ?? new Response("answer", { status: 201, headers: { location: "/whip/session/1" } }));
    },
    createPeer: () => {
      const peer = new FakePeer();
      peers.push(peer);
      return peer as unknown as RTCPeerConnection;
    },
    createPicture: () => ({ start: (screen: unknown) => Promise.resolve(screen), stop: () => undefined }) as unknown as PictureInPicture,
  });
  const phases: BroadcastState["phase"][] = [];
  broadcast.subscribe(() => {
    const { phase } = broadcast.snapshot();
    if (phases.at(-1) !== phase) phases.push(phase);
  });
  return { broadcast, opened, asked, requests, peers, phases };
}

describe("a broadcast from the browser", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("MediaStream", FakeStream);
    vi.stubGlobal("RTCRtpSender", { getCapabilities: () => null });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("goes from a preview to live and back to nothing, and says goodbye", async () => {
    const { broadcast, opened, requests, peers, phases } = world();
    await broadcast.show("camera");
    expect(broadcast.snapshot().cameras).toEqual([{ id: "c1", label: "Front" }]);
    await broadcast.goLive();
    peers[0]?.becomes("connected");
    broadcast.stop();
    expect(phases).toEqual(["asking", "ready", "connecting", "live", "off"]);
    expect(opened.every(({ stopped }) => stopped)).toBe(true);
    expect(requests.map(([url, init]) => [url, init?.method])).toEqual([
      ["/studio/api/publish", "POST"],
      ["/whip/session/1", "DELETE"],
    ]);
    expect(JSON.stringify(requests)).not.toContain("authorization");
  });

  it.each([
    ["NotAllowedError", "denied"],
    ["NotFoundError", "no-device"],
    ["NotReadableError", "busy"],
    ["Strange", "device-trouble"],
  ])("says what %s means", async (name, problem) => {
    const { broadcast } = world({ refuse: name });
    await broadcast.show("camera");
    expect(broadcast.snapshot()).toMatchObject({ phase: "off", problem });
  });

  it("says that plain http gets no camera", async () => {
    const { broadcast } = world({ devices: false });
    await broadcast.show("camera");
    expect(broadcast.snapshot()).toMatchObject({ phase: "off", problem: "insecure" });
    expect(broadcast.canShareScreen).toBe(false);
  });

  it("stays at the preview when the server refuses, and says why", async () => {
    const answers = [new Response(JSON.stringify({ code: "channel_in_use" }), { status: 409 })];
    const { broadcast, peers } = world({ answers });
    await broadcast.show("both");
    await broadcast.goLive();
    expect(broadcast.snapshot()).toMatchObject({ phase: "ready", problem: "channel-in-use" });
    expect(peers[0]?.closed).toBe(true);
  });

  it("comes back by itself after the connection was lost", async () => {
    const busy = () => new Response(JSON.stringify({ code: "channel_in_use" }), { status: 409 });
    const { broadcast, peers } = world({ answers: [new Response("answer", { status: 201 }), busy()] });
    await broadcast.show("camera");
    await broadcast.goLive();
    peers[0]?.becomes("connected");
    peers[0]?.becomes("failed");
    expect(broadcast.snapshot()).toMatchObject({ phase: "connecting", problem: "connection-lost" });
    await vi.advanceTimersByTimeAsync(4_500);
    peers[2]?.becomes("connected");
    expect(broadcast.snapshot()).toMatchObject({ phase: "live", problem: null });
  });

  it("gives up when no connection ever comes about", async () => {
    const { broadcast, peers } = world();
    await broadcast.show("camera");
    await broadcast.goLive();
    await vi.advanceTimersByTimeAsync(300_000);
    expect(broadcast.snapshot()).toMatchObject({ phase: "ready", problem: "no-connection" });
    expect(peers).toHaveLength(11);
    expect(peers.every(({ closed }) => closed)).toBe(true);
  });

  it("changes what viewers see without a new connection", async () => {
    const { broadcast, peers, asked, opened } = world();
    await broadcast.show("camera");
    await broadcast.goLive();
    peers[0]?.becomes("connected");
    await broadcast.chooseMicrophone("m1");
    expect(asked.at(-1)).toEqual({ audio: { deviceId: { exact: "m1" } } });
    expect(peers).toHaveLength(1);
    expect(peers[0]?.replaced).toHaveLength(2);
    expect(opened.filter(({ stopped }) => stopped)).toHaveLength(2);
    expect(broadcast.snapshot().phase).toBe("live");
  });

  it("ends when the shared screen is taken away", async () => {
    const { broadcast, opened } = world();
    await broadcast.show("screen");
    opened[0]?.onended?.();
    expect(broadcast.snapshot()).toMatchObject({ phase: "off", problem: "device-gone", stream: null });
    expect(opened.every(({ stopped }) => stopped)).toBe(true);
  });
});
