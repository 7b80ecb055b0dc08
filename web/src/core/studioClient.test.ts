import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pass } from "../testing/fakes";
import { StudioClient } from "./studioClient";
import type { Desk } from "./studioMessages";

const DESK: Desk = {
  channel: "den",
  title: null,
  doors: { ftl_port: 8084, rtmp_port: 1935, rtmps_port: null, whip: true, srt: null },
  state: "live",
  since_ms: 1,
  closed_for_s: null,
  viewers: 2,
  muted: false,
  video: null,
  audio: null,
  sound: null,
  delay: null,
  unplayable: { without_picture: 0, without_sound: 0, turned_away: 0 },
  uplink: null,
  warnings: [],
};

const deskNow = () => Response.json(DESK);
const refusal = (status: number, code: string) => new Response(JSON.stringify({ code }), { status });

/** A client whose server is the test. */
function studio(answers: Record<string, () => Response | Promise<Response>>) {
  const asked: string[] = [];
  const sources: { onerror: (() => void) | null; say: (data: string) => void; closed: boolean }[] = [];
  const client = new StudioClient({
    fetch: (input, init) => {
      const what = `${init?.method ?? "GET"} ${input as string}`;
      asked.push(typeof init?.body === "string" ? `${what} ${init.body}` : what);
      const answer = answers[what];
      return answer ? Promise.resolve(answer()) : Promise.reject(new TypeError("no network"));
    },
    openEvents: () => {
      let listener: ((event: { data: string }) => void) | null = null;
      const source = {
        onerror: null as (() => void) | null,
        closed: false,
        addEventListener: (_name: string, added: (event: { data: string }) => void) => (listener = added),
        close: () => (source.closed = true),
        say: (data: string) => listener?.({ data }),
      };
      sources.push(source);
      return source as unknown as EventSource;
    },
  });
  const stop = client.subscribe(() => undefined);
  return { client, asked, sources, stop };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("StudioClient", () => {
  it("asks for the key when nobody is signed in", async () => {
    const { client } = studio({ "GET /studio/api/desk": () => refusal(401, "signed_out") });
    expect(client.snapshot()).toEqual({ kind: "checking" });
    await pass();
    expect(client.snapshot()).toEqual({ kind: "signed-out", problem: null });
  });

  it("shows the key in the body of a request, once, and follows the desk", async () => {
    let known = false;
    const { client, asked, sources } = studio({
      "GET /studio/api/desk": () => (known ? deskNow() : refusal(401, "signed_out")),
      "POST /studio/api/session": () => {
        known = true;
        return new Response(null, { status: 204 });
      },
    });
    await pass();
    expect(await client.signIn(" 77-secret ")).toBeNull();
    expect(asked).toContain('POST /studio/api/session {"key":"77-secret"}');
    expect(asked.filter((one) => one.includes("secret"))).toHaveLength(1);
    expect(client.snapshot()).toEqual({ kind: "signed-in", desk: DESK, fresh: true });
    sources[0]?.say(JSON.stringify({ ...DESK, viewers: 9 }));
    sources[0]?.say("nonsense");
    expect(client.snapshot()).toMatchObject({ desk: { viewers: 9 } });
  });

  it.each([
    [401, "wrong_key", "wrong-key"],
    [429, "too_many_tries", "too-many-tries"],
    [503, "no_verdict", "no-verdict"],
    [403, "foreign_page", "other"],
    [502, "", "unreachable"],
  ])("says what %i %s means", async (status, code, problem) => {
    const { client } = studio({
      "GET /studio/api/desk": () => refusal(401, "signed_out"),
      "POST /studio/api/session": () => refusal(status, code),
    });
    await pass();
    expect(await client.signIn("x")).toBe(problem);
    expect(client.snapshot()).toEqual({ kind: "signed-out", problem });
  });

  it("keeps the last desk while the server is away, and goes on when it is back", async () => {
    let up = true;
    const { client, sources } = studio({
      "GET /studio/api/desk": () => (up ? deskNow() : Promise.reject(new TypeError("gone"))),
    });
    await pass();
    up = false;
    sources[0]?.onerror?.();
    await pass();
    expect(client.snapshot()).toEqual({ kind: "signed-in", desk: DESK, fresh: false });
    up = true;
    await pass(3_000);
    expect(client.snapshot()).toEqual({ kind: "signed-in", desk: DESK, fresh: true });
    expect(sources).toHaveLength(2);
  });

  it("says that a server has no desk when it answers with the page", async () => {
    const page = () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
    const { client } = studio({ "GET /studio/api/desk": page });
    await pass();
    expect(client.snapshot()).toEqual({ kind: "signed-out", problem: "no-desk" });
  });

  it("notices that the cookie is over", async () => {
    let known = true;
    const { client, sources } = studio({
      "GET /studio/api/desk": () => (known ? deskNow() : refusal(401, "signed_out")),
    });
    await pass();
    known = false;
    sources[0]?.onerror?.();
    await pass();
    expect(client.snapshot()).toEqual({ kind: "signed-out", problem: null });
  });

  it("gives orders as JSON, which no form of another page can", async () => {
    const done = () => new Response(null, { status: 204 });
    const { client, asked } = studio({
      "POST /studio/api/title": done,
      "POST /studio/api/muted": done,
      "POST /studio/api/end": () => refusal(409, "off_air"),
      "POST /studio/api/open": done,
    });
    expect(await client.setTitle("The den")).toBeNull();
    expect(await client.setMuted(true)).toBeNull();
    expect(await client.end()).toBe("off-air");
    expect(await client.open()).toBeNull();
    expect(asked.slice(1)).toEqual([
      'POST /studio/api/title {"title":"The den"}',
      'POST /studio/api/muted {"muted":true}',
      "POST /studio/api/end {}",
      "POST /studio/api/open {}",
    ]);
  });

  it("stops when nobody looks any more", async () => {
    const { sources, stop, asked } = studio({ "GET /studio/api/desk": () => deskNow() });
    await pass();
    stop();
    expect(sources[0]?.closed).toBe(true);
    await pass(60_000);
    expect(asked).toHaveLength(1);
  });
});
