import { describe, expect, it } from "vitest";
import { type EmbedWishes, forcedSignaling, parseRoute, type Route, severalPath, watchPath } from "./route";

const USUAL: EmbedWishes = { autoplay: true, muted: true, controls: true, latency: null, colour: null, logo: true };

describe("parseRoute", () => {
  it.each<[string, string, Route]>([
    ["/", "", { page: "home" }],
    ["/index.html", "", { page: "home" }],
    ["/", "?signaling=whep", { page: "home" }],
    ["/", "?port=24001", { page: "watch", target: { kind: "port", port: 24001 } }],
    ["/", "?port=0", { page: "not-found" }],
    ["/", "?port=70000", { page: "not-found" }],
    ["/", "?port=abc", { page: "not-found" }],
    ["/c/dawn", "", { page: "watch", target: { kind: "channel", name: "dawn" } }],
    ["/c/dawn/", "?x=1", { page: "watch", target: { kind: "channel", name: "dawn" } }],
    ["/c/caf%C3%A9%20noir", "", { page: "watch", target: { kind: "channel", name: "café noir" } }],
    ["/c/100%", "", { page: "not-found" }],
    ["/c/", "", { page: "not-found" }],
    ["/c/a/b", "", { page: "not-found" }],
    ["/watch", "", { page: "several", channels: [] }],
    ["/watch", "?c=a&c=b%20c&c=a&c=", { page: "several", channels: ["a", "b c"] }],
    ["/watch/", `?${"abcdefghijkl".replace(/./g, "c=$&&")}`, { page: "several", channels: "abcdefghi".split("") }],
    ["/embed/dawn", "", { page: "embed", target: { kind: "channel", name: "dawn" }, wishes: USUAL }],
    [
      "/embed/dawn",
      "?autoplay=0&muted=false&controls=0&latency=smooth&colour=3366CC&logo=0",
      {
        page: "embed",
        target: { kind: "channel", name: "dawn" },
        wishes: { autoplay: false, muted: false, controls: false, latency: "smooth", colour: "#3366CC", logo: false },
      },
    ],
    [
      "/embed/dawn",
      "?autoplay&muted=1&latency=none&colour=red",
      { page: "embed", target: { kind: "channel", name: "dawn" }, wishes: USUAL },
    ],
    ["/embed/", "", { page: "not-found" }],
    ["/studio", "", { page: "studio" }],
    ["/studio/x", "", { page: "not-found" }],
  ])("%s%s", (path, query, route) => {
    expect(parseRoute(path, query)).toEqual(route);
  });

  it("finds the way back from each watch path", () => {
    for (const target of [{ kind: "channel", name: "a/b ?ü" } as const, { kind: "port", port: 24001 } as const]) {
      const url = new URL(watchPath(target), "http://tower.example");
      expect(parseRoute(url.pathname, url.search)).toEqual({ page: "watch", target });
    }
  });
});

it("finds the way back from the page of several channels", () => {
  for (const channels of [[], ["a"], ["a&b", "ü c"]]) {
    const url = new URL(severalPath(channels), "http://tower.example");
    expect(parseRoute(url.pathname, url.search)).toEqual({ page: "several", channels });
  }
});

describe("forcedSignaling", () => {
  it.each([
    ["?signaling=whep", "whep"],
    ["?port=1&signaling=websocket", "websocket"],
    ["?signaling=pigeon", null],
    ["", null],
  ])("%s", (query, wish) => {
    expect(forcedSignaling(query)).toBe(wish);
  });
});
