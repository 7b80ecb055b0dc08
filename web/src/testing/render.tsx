import { render, type RenderResult } from "@testing-library/react";
import type { ReactNode } from "react";
import { PLAIN_SITE, type Site } from "../core/branding";
import { type Choices, rememberedChoices } from "../core/choices";
import { EarlyVideos } from "../core/earlyVideo";
import { Observable } from "../core/observable";
import { SessionKeeper } from "../core/sessionKeeper";
import { StreamsClient } from "../core/streamsClient";
import type { StreamEntry } from "../core/messages";
import { HeliographContext } from "../hooks/useHeliograph";
import { ENDPOINTS, fakeSession } from "./fakes";

/** A stream as the server lists it. */
export function streamEntry(changes: Partial<StreamEntry> = {}): StreamEntry {
  return {
    channel: "dawn",
    name: "First light",
    port: 24001,
    since_ms: Date.now() - 600_000,
    state: "live",
    viewers: 3,
    bitrate_bps: 4_000_000,
    tracks: [{ kind: "video", codec: "h264", profile: null, width: 1280, height: 720, fps: 29.97, keyframe_interval_ms: null, bitrate_bps: 4_000_000 }],
    uplink: null,
    warnings: [],
    ...changes,
  };
}

/** Draws `children` with sessions and a list of streams whose server is the test. `null`: it does not answer. */
export function renderPage(children: ReactNode, streams: readonly StreamEntry[] | null): Drawn {
  const sessions: ReturnType<typeof fakeSession>[] = [];
  const choices = rememberedChoices(() => window.localStorage, ["en"]);
  const { latency } = choices;
  const site = new Observable<Site>(PLAIN_SITE);
  const keeper = new SessionKeeper((target) => {
    const fake = fakeSession(target, { latency });
    sessions.push(fake);
    return fake.session;
  });
  const client = new StreamsClient({
    endpoints: Promise.resolve(ENDPOINTS),
    fetch: () =>
      streams ? Promise.resolve(new Response(JSON.stringify({ streams }))) : Promise.reject(new TypeError("no network")),
    openEvents: () => {
      const events = { onerror: null as (() => void) | null, addEventListener: () => undefined, close: () => undefined };
      queueMicrotask(() => events.onerror?.());
      return events as unknown as EventSource;
    },
  });
  const page = render(<HeliographContext value={{ keeper, streams: client, choices, endpoints: Promise.resolve(ENDPOINTS), site, videos: new EarlyVideos(document) }}>{children}</HeliographContext>);
  return { page, sessions, choices, site };
}

interface Drawn {
  readonly page: RenderResult;
  readonly choices: Choices;
  readonly site: Observable<Site>;
  /** In the order in which the page asked for them. */
  readonly sessions: readonly ReturnType<typeof fakeSession>[];
}
