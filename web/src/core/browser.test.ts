import { afterEach, describe, expect, it, vi } from "vitest";
import { FakePeer, FakeSocket, newest } from "../testing/fakes";
import { startHeliograph } from "./browser";
import type { DebugHandle } from "./debugHandle";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A window at `address` whose server does not exist. */
function fakeWindow(address: string) {
  const sockets: FakeSocket[] = [];
  const events = new EventTarget();
  const visibility = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const connection = new EventTarget();
  const window = Object.assign(events, {
    location: new URL(address),
    document: visibility,
    performance,
    navigator: { languages: ["de-DE", "en"], connection },
    fetch: vi.fn(() => Promise.reject(new TypeError("no network"))),
    RTCPeerConnection: FakePeer,
    WebSocket: class extends FakeSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    },
    EventSource: vi.fn(),
  });
  const heliograph = startHeliograph(window as unknown as Window & typeof globalThis);
  stops.push(() => {
    heliograph.keeper.suspend();
  });
  const { heliograph: handle } = window as unknown as { heliograph: DebugHandle };
  return { ...heliograph, window, sockets, handle };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("startHeliograph", () => {
  it("connects before anything is drawn when the address names a stream", async () => {
    const { sockets, window } = fakeWindow("http://tower.example:8080/?port=24001");
    await settle();
    expect(window.fetch).toHaveBeenCalledWith("http://tower.example:8080/config.json", undefined);
    expect(sockets.map((socket) => socket.url)).toEqual(["ws://tower.example:8080/websocket?port=24001"]);
  });

  it("asks for nothing but the settings at home", async () => {
    const { sockets, window } = fakeWindow("http://tower.example:8080/");
    await settle();
    expect(sockets).toEqual([]);
    expect(window.fetch).toHaveBeenCalledTimes(1);
  });

  it("uses WHEP when the address says so", async () => {
    const { sockets, window } = fakeWindow("http://tower.example:8080/c/dawn?signaling=whep");
    await settle();
    expect(sockets).toEqual([]);
    expect(newest(window.fetch.mock.calls)).toMatchObject(["http://tower.example:8080/whep/dawn", { method: "POST" }]);
  });

  it("tries again at once when the network is back", async () => {
    const { sockets, window } = fakeWindow("http://tower.example:8080/c/dawn?signaling=websocket");
    await settle();
    newest(sockets).drop();
    window.dispatchEvent(new Event("online"));
    await settle();
    expect(sockets).toHaveLength(2);
    newest(sockets).drop();
    window.document.dispatchEvent(new Event("visibilitychange"));
    await settle();
    expect(sockets).toHaveLength(3);
  });

  it("speaks the language of the browser", () => {
    expect(fakeWindow("http://tower.example:8080/").choices.language.snapshot()).toBe("de");
  });

  it("connects to each of several channels, and to an embedded one unless it waits for a click", async () => {
    for (const [address, channels] of [
      ["/watch?c=dawn&c=dusk&c=dawn", ["dawn", "dusk"]],
      ["/watch", []],
      ["/embed/dawn", ["dawn"]],
      ["/embed/dawn?autoplay=0", []],
    ] as const) {
      const { sockets } = fakeWindow(`http://tower.example:8080${address}`);
      await settle();
      expect(sockets.map((socket) => new URL(socket.url).searchParams.get("channel"))).toEqual(channels);
    }
  });

  it("an embedding page can choose the delay without changing what the viewer has chosen", () => {
    const { choices } = fakeWindow("http://tower.example:8080/embed/dawn?latency=smooth");
    expect(choices.latency.snapshot()).toBe("smooth");
  });

  it("asks a server for a sign of life when the network changes, and goes on when it gives one", async () => {
    const { sockets, window } = fakeWindow("http://tower.example:8080/c/dawn");
    await settle();
    const socket = newest(sockets);
    socket.accept();
    window.navigator.connection.dispatchEvent(new Event("change"));
    expect(newest(socket.sent).event).toBe("clock");
  });

  it("leaves with the page and comes back with it", async () => {
    const { sockets, window, keeper } = fakeWindow("http://tower.example:8080/c/dawn");
    keeper.hold({ kind: "channel", name: "dawn" });
    await settle();
    window.dispatchEvent(new Event("pagehide"));
    expect(newest(sockets).readyState).toBe(3);
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
    await settle();
    expect(sockets).toHaveLength(1);
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await settle();
    expect(sockets).toHaveLength(2);
  });

  it("lets tests look at the session", async () => {
    const { handle, sockets } = fakeWindow("http://tower.example:8080/c/dawn");
    await settle();
    newest(sockets).accept();
    newest(sockets).say("offer", { type: "offer", sdp: "v=0\r\n" });
    await settle();
    expect(handle.sessions()).toHaveLength(1);
    expect(handle.session).toMatchObject({ target: "channel=dawn", playback: null });
    expect(handle.session?.snapshot.state).toMatchObject({ kind: "connecting", step: "joining" });
    expect(handle.session?.peer).toBeInstanceOf(FakePeer);
    expect(await handle.session?.stats()).toHaveLength(1);
    expect(fakeWindow("http://tower.example:8080/").handle.session).toBeNull();
  });
});
