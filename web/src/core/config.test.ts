import { describe, expect, it, vi } from "vitest";
import { endpointsFrom, eventsUrl, loadEndpoints, socketUrl, streamsUrl, whepUrl } from "./config";

const page = (href: string) => {
  const { protocol, hostname } = new URL(href);
  return { href, protocol, hostname };
};
const HTTP = page("http://tower.example:8080/c/dawn");
const HTTPS = page("https://tower.example/c/dawn");

describe("endpointsFrom", () => {
  it.each([
    ["no file", null, HTTP, "ws://tower.example:8080/websocket"],
    ["no file, encrypted page", null, HTTPS, "wss://tower.example/websocket"],
    ["nonsense", { wsUrl: 7 }, HTTP, "ws://tower.example:8080/websocket"],
    ["another scheme", { wsUrl: "ftp://x/" }, HTTP, "ws://tower.example:8080/websocket"],
    ["an address elsewhere", { wsUrl: "wss://media.example/live/websocket" }, HTTP, "wss://media.example/live/websocket"],
    ["a path only", { wsUrl: "/live/websocket" }, HTTPS, "wss://tower.example/live/websocket"],
    ["http for ws", { wsUrl: "http://media.example/websocket" }, HTTP, "ws://media.example/websocket"],
    ["an unencrypted address on an encrypted page", { wsUrl: "ws://media.example/websocket" }, HTTPS, "wss://media.example/websocket"],
    ["localhost seen from elsewhere", { wsUrl: "ws://localhost:8080/websocket" }, HTTP, "ws://tower.example:8080/websocket"],
    ["localhost seen from there", { wsUrl: "ws://localhost:9/websocket" }, page("http://127.0.0.1:8080/"), "ws://localhost:9/websocket"],
  ])("%s", (_name, config, from, socket) => {
    expect(endpointsFrom(config, from).socket.href).toBe(socket);
  });

  it("finds everything else beside the socket", () => {
    const endpoints = endpointsFrom({ wsUrl: "wss://media.example/live/websocket?port=1&v=2" }, HTTP);
    expect(streamsUrl(endpoints)).toBe("https://media.example/live/streams");
    expect(eventsUrl(endpoints)).toBe("https://media.example/live/events");
    expect(whepUrl(endpoints, { kind: "channel", name: "a b" }, null)).toBe("https://media.example/live/whep/a%20b");
    expect(whepUrl(endpoints, { kind: "port", port: 7 }, null)).toBe("https://media.example/live/whep?port=7");
    expect(whepUrl(endpoints, { kind: "port", port: 7 }, { min_ms: 0, max_ms: 1250 })).toBe(
      "https://media.example/live/whep?port=7&playout_max_ms=1250",
    );
    expect(socketUrl(endpoints, { kind: "channel", name: "dawn" })).toBe("wss://media.example/live/websocket?v=2&channel=dawn");
    expect(socketUrl(endpoints, { kind: "port", port: 7 })).toBe("wss://media.example/live/websocket?v=2&port=7");
  });
});

describe("loadEndpoints", () => {
  it.each([
    ["there is none", () => Promise.resolve(new Response("not found", { status: 404 }))],
    ["it is not JSON", () => Promise.resolve(new Response("<html>"))],
    ["the network is down", () => Promise.reject(new TypeError("no network"))],
  ])("asks the page's own server when %s", async (_name, reply) => {
    const endpoints = await loadEndpoints(vi.fn<typeof fetch>(reply), HTTP);
    expect(endpoints.socket.href).toBe("ws://tower.example:8080/websocket");
  });

  it("reads addresses and ICE servers", async () => {
    const body = JSON.stringify({ wsUrl: "wss://media.example/websocket", iceServers: [{ urls: ["stun:stun.example"] }] });
    const fetchFrom = vi.fn<typeof fetch>(() => Promise.resolve(new Response(body)));
    const endpoints = await loadEndpoints(fetchFrom, HTTP);
    expect(fetchFrom).toHaveBeenCalledWith("http://tower.example:8080/config.json");
    expect(endpoints.socket.href).toBe("wss://media.example/websocket");
    expect(endpoints.iceServers).toEqual([{ urls: ["stun:stun.example"] }]);
  });
});
