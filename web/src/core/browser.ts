import { PLAIN_SITE, type Site } from "./branding";
import { type Choices, rememberedChoices } from "./choices";
import { type Endpoints, loadEndpoints } from "./config";
import { debugHandle } from "./debugHandle";
import { EarlyVideos } from "./earlyVideo";
import { restTargetMs } from "./latency";
import { playableBy } from "./missingMedia";
import { Observable } from "./observable";
import { forcedSignaling, parseRoute, routeTargets } from "./route";
import { measuredOpeningMs } from "./secondTry";
import { SessionKeeper } from "./sessionKeeper";
import { findStream, StreamsClient } from "./streamsClient";
import { ViewerSession } from "./viewerSession";
import { watchWake } from "./wakeWatch";
import type { Presence } from "./whepClient";
import type { Target } from "./target";

/** The parts of the page that live longer than any drawing of it. */
export interface Heliograph {
  readonly keeper: SessionKeeper;
  readonly streams: StreamsClient;
  readonly choices: Choices;
  readonly endpoints: Promise<Endpoints>;
  readonly videos: EarlyVideos;
  /** What the operator has made of the page; known as soon as the server has told. */
  readonly site: Observable<Site>;
}

/** Browsers that tell of another network (Chromium). */
interface NetworkTeller {
  readonly connection?: Pick<EventTarget, "addEventListener">;
}

/** Puts the parts together with the real browser and begins to connect at once when the address names a stream. */
export function startHeliograph(window: Window & typeof globalThis): Heliograph {
  const fetchFrom: typeof fetch = (input, init) => window.fetch(input, init);
  const endpoints: Promise<Endpoints> = loadEndpoints(fetchFrom, window.location);
  const streams = new StreamsClient({
    endpoints,
    fetch: fetchFrom,
    openEvents: (url) => new window.EventSource(url),
  });
  const { navigator } = window;
  const choices = rememberedChoices(() => window.localStorage, navigator.languages);
  const site = new Observable<Site>(PLAIN_SITE);
  void endpoints.then((known) => {
    site.set(known.site);
  });
  const keeper = new SessionKeeper(
    (target) =>
      new ViewerSession(target, {
        endpoints,
        fetch: fetchFrom,
        makePeer: (configuration) => new window.RTCPeerConnection(configuration),
        openSocket: (url) => new window.WebSocket(url),
        openingMs: (url) => measuredOpeningMs(window, url),
        presence: (which) => presenceOf(streams, which),
        latency: choices.latency,
        playable: playableBy(window.RTCRtpReceiver),
        restTargetMs: restTargetMs(navigator.userAgent),
        random: Math.random,
        nowMs: () => window.performance.now(),
        forced: forcedSignaling(window.location.search),
        hasWebRtc: "RTCPeerConnection" in window,
      }),
  );

  const route = parseRoute(window.location.pathname, window.location.search);
  if (route.page === "embed" && route.wishes.latency) choices.latency.lend(route.wishes.latency);
  for (const target of routeTargets(route)) keeper.prestart(target);

  const verify = (): void => {
    keeper.verify();
  };
  window.addEventListener("online", verify);
  (navigator as NetworkTeller).connection?.addEventListener("change", verify);
  watchWake(verify, Date.now);
  window.document.addEventListener("visibilitychange", () => {
    if (window.document.visibilityState === "visible") keeper.nudge();
  });
  window.addEventListener("pagehide", () => {
    keeper.suspend();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) keeper.resume();
  });
  Object.defineProperty(window, "heliograph", { value: debugHandle(keeper), configurable: true });
  return { keeper, streams, choices, endpoints, site, videos: new EarlyVideos(window.document) };
}

function presenceOf(streams: StreamsClient, target: Target): Presence {
  return (listener) => {
    const tell = (): void => {
      const state = streams.snapshot();
      if (state.kind === "ready") listener(findStream(state.streams, target));
    };
    const stop = streams.subscribe(tell);
    tell();
    return stop;
  };
}
