import { type Site, siteFrom } from "./branding";
import type { PlayoutWish } from "./messages";
import type { PageConfig } from "./messages";
import { type Target, targetQuery } from "./target";

/** Where the server is. */
export interface Endpoints {
  /** The viewer WebSocket, without the stream. May carry a query of its own. */
  readonly socket: URL;
  /** Everything that is asked over HTTP lives below this address, which ends with a slash. */
  readonly http: URL;
  readonly iceServers: readonly RTCIceServer[];
  readonly site: Site;
}

/** The part of `window.location` that matters here. */
export type PageAddress = Pick<Location, "href" | "protocol" | "hostname">;

/**
 * Reads `config.json`, which an operator may edit after the build. Without it, or with nonsense in it, the
 * server that served the page is the server to ask.
 */
export async function loadEndpoints(fetchFrom: typeof fetch, page: PageAddress): Promise<Endpoints> {
  try {
    // The page preloads the same address (index.html); other options here would fetch it twice.
    const reply = await fetchFrom(new URL("/config.json", page.href).href);
    return endpointsFrom(reply.ok ? await reply.json() : null, page);
  } catch {
    return endpointsFrom(null, page);
  }
}

export function endpointsFrom(config: unknown, page: PageAddress): Endpoints {
  const given: Partial<PageConfig> = typeof config === "object" && config !== null ? config : {};
  const site = siteFrom(given.branding);
  const socket = socketAddress(given.wsUrl, page);
  const http = new URL(socket);
  http.protocol = socket.protocol === "wss:" ? "https:" : "http:";
  http.pathname = socket.pathname.replace(/[^/]*$/, "");
  http.search = "";
  return { socket, http, iceServers: Array.isArray(given.iceServers) ? given.iceServers : [], site };
}

export function socketUrl(endpoints: Endpoints, target: Target): string {
  const url = new URL(endpoints.socket);
  url.searchParams.delete("port");
  url.searchParams.delete("channel");
  if (target.kind === "channel") url.searchParams.set("channel", target.name);
  else url.searchParams.set("port", String(target.port));
  return url.href;
}

/** `wish`: WHEP takes it at the start only. */
export function whepUrl(endpoints: Endpoints, target: Target, wish: PlayoutWish | null): string {
  const path = target.kind === "channel" ? `whep/${encodeURIComponent(target.name)}` : `whep?${targetQuery(target)}`;
  const url = new URL(path, endpoints.http);
  if (wish) url.searchParams.set("playout_max_ms", String(wish.max_ms));
  return url.href;
}

export function streamsUrl(endpoints: Endpoints): string {
  return new URL("streams", endpoints.http).href;
}

/** A still of what a channel shows; `version` changes with time, so that the browser asks again. */
export function previewUrl(endpoints: Endpoints, port: number, version: number): string {
  return new URL(`preview?port=${port}&v=${version}`, endpoints.http).href;
}

export function eventsUrl(endpoints: Endpoints): string {
  return new URL("events", endpoints.http).href;
}

function socketAddress(wish: unknown, page: PageAddress): URL {
  const own = new URL("/websocket", page.href);
  own.protocol = page.protocol === "https:" ? "wss:" : "ws:";
  if (typeof wish !== "string" || !URL.canParse(wish, own)) return own;

  const url = new URL(wish, own);
  if (url.protocol === "http:") url.protocol = "ws:";
  if (url.protocol === "https:") url.protocol = "wss:";
  if (url.protocol !== "ws:" && url.protocol !== "wss:") return own;
  // Browsers refuse an unencrypted socket from an encrypted page, so this can only help.
  if (page.protocol === "https:") url.protocol = "wss:";
  // The packaged default says `localhost`; a visitor from elsewhere means the machine the page came from.
  if (isLoopback(url.hostname) && !isLoopback(page.hostname)) url.hostname = page.hostname;
  url.hash = "";
  return url;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
