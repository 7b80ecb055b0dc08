import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ENDPOINTS, newest, pass } from "../testing/fakes";
import type { StreamEntry } from "./messages";
import { byAudience, findStream, parseStreams, StreamsClient, streamTarget } from "./streamsClient";

const entry = (channel: string | null, port: number, viewers: number, since_ms = 0): StreamEntry => ({
  channel,
  name: null,
  port,
  since_ms,
  state: "live",
  viewers,
  bitrate_bps: 0,
  tracks: [],
  uplink: null,
  warnings: [],
});

class FakeEvents {
  closed = false;
  onerror: (() => void) | null = null;
  #tell: ((event: { data: string }) => void) | null = null;
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }
  addEventListener(_name: string, tell: (event: { data: string }) => void): void {
    this.#tell = tell;
  }
  close(): void {
    this.closed = true;
  }
  say(streams: StreamEntry[]): void {
    this.#tell?.({ data: JSON.stringify({ streams }) });
  }
}

function fakeStreams() {
  const feeds: FakeEvents[] = [];
  const fetches = vi.fn<typeof fetch>(() => Promise.reject(new TypeError("no network")));
  const client = new StreamsClient({
    endpoints: Promise.resolve(ENDPOINTS),
    fetch: fetches,
    openEvents: (url) => {
      const feed = new FakeEvents(url);
      feeds.push(feed);
      return feed as unknown as EventSource;
    },
  });
  return { client, feeds, fetches };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("StreamsClient", () => {
  it("listens while somebody wants to know, and to one feed only", async () => {
    const { client, feeds } = fakeStreams();
    const seen = vi.fn();
    const stopFirst = client.subscribe(seen);
    const stopSecond = client.subscribe(() => undefined);
    await pass();
    expect(feeds.map((feed) => feed.url)).toEqual(["https://tower.example/events"]);
    newest(feeds).say([entry("dawn", 1, 2)]);
    expect(client.snapshot()).toEqual({ kind: "ready", streams: [entry("dawn", 1, 2)] });
    expect(seen).toHaveBeenCalledTimes(1);
    stopFirst();
    expect(newest(feeds).closed).toBe(false);
    stopSecond();
    expect(newest(feeds).closed).toBe(true);
    client.subscribe(() => undefined);
    await pass();
    expect(feeds).toHaveLength(2);
  });

  it("asks every few seconds where events do not come through", async () => {
    const { client, feeds, fetches } = fakeStreams();
    fetches.mockImplementation(() => Promise.resolve(new Response(JSON.stringify({ streams: [entry("dawn", 1, 2)] }))));
    const stop = client.subscribe(() => undefined);
    await pass();
    newest(feeds).onerror?.();
    await pass();
    expect(client.snapshot().kind).toBe("ready");
    await pass(5000);
    expect(fetches).toHaveBeenCalledTimes(2);
    expect(fetches.mock.calls[0]?.[0]).toBe("https://tower.example/streams");
    stop();
    await pass(60_000);
    expect(fetches).toHaveBeenCalledTimes(2);
  });

  it("says that the server is gone, and finds it again", async () => {
    const { client, feeds } = fakeStreams();
    client.subscribe(() => undefined);
    await pass();
    newest(feeds).say([]);
    newest(feeds).onerror?.();
    await pass();
    expect(client.snapshot()).toEqual({ kind: "unreachable" });
    await pass(5000);
    expect(feeds).toHaveLength(2);
    newest(feeds).say([]);
    expect(client.snapshot()).toEqual({ kind: "ready", streams: [] });
  });
});

it("byAudience puts the most watched first and does not shuffle equals", () => {
  const list = [entry("a", 3, 1, 5), entry("b", 2, 9), entry("c", 1, 1, 5), entry("d", 4, 1, 4)];
  expect(byAudience(list).map((one) => one.channel)).toEqual(["b", "d", "c", "a"]);
});

it("findStream and streamTarget agree", () => {
  const list = [entry("dawn", 1, 0), entry(null, 2, 0)];
  for (const one of list) expect(findStream(list, streamTarget(one))).toBe(one);
  expect(findStream(list, { kind: "port", port: 1 })).toBe(list[0]);
  expect(findStream(list, { kind: "channel", name: "dusk" })).toBeNull();
});

it("parseStreams refuses what is no list", () => {
  expect(parseStreams('{"streams":[]}')).toEqual([]);
  for (const text of ["{", "null", "[]", '{"streams":7}']) expect(parseStreams(text)).toBeNull();
});
