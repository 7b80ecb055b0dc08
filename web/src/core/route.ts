import { isLatencyMode, type LatencyMode } from "./latency";
import type { Target } from "./target";

/** How a player in a page of another site behaves; from the address of the frame (docs/embedding.md). */
export interface EmbedWishes {
  /** Begin at once; else a button waits. */
  readonly autoplay: boolean;
  readonly muted: boolean;
  readonly controls: boolean;
  /** Null: what this viewer has chosen. */
  readonly latency: LatencyMode | null;
  /** `#rrggbb` instead of the operator's. */
  readonly colour: string | null;
  readonly logo: boolean;
}

/** The pages there are. */
export type Route =
  | { readonly page: "home" }
  | { readonly page: "watch"; readonly target: Target }
  | { readonly page: "several"; readonly channels: readonly string[] }
  | { readonly page: "embed"; readonly target: Target; readonly wishes: EmbedWishes }
  | { readonly page: "studio" }
  | { readonly page: "not-found" };

/** More at once would cost more than phones and lines have. */
export const MOST_AT_ONCE = 9;

/** The page that an address asks for. `/?port=N` is how pages before this one named a stream. */
export function parseRoute(path: string, query: string): Route {
  const asked = new URLSearchParams(query);
  if (path === "/" || path === "/index.html") {
    const port = asked.get("port");
    if (port === null) return { page: "home" };
    return isPort(port) ? { page: "watch", target: { kind: "port", port: Number(port) } } : { page: "not-found" };
  }
  if (path === "/watch" || path === "/watch/") {
    const channels = [...new Set(asked.getAll("c"))].filter((name) => name !== "").slice(0, MOST_AT_ONCE);
    return { page: "several", channels };
  }
  if (path === "/studio" || path === "/studio/") return { page: "studio" };
  const [, kind, part] = /^\/(c|embed)\/([^/]+)\/?$/.exec(path) ?? [];
  const name = part === undefined ? null : decode(part);
  if (name === null) return { page: "not-found" };
  const target: Target = { kind: "channel", name };
  return kind === "embed" ? { page: "embed", target, wishes: embedWishes(asked) } : { page: "watch", target };
}

/** The address of a page that plays `target`. */
export function watchPath(target: Target): string {
  return target.kind === "channel" ? `/c/${encodeURIComponent(target.name)}` : `/?port=${target.port}`;
}

/** The address of a page that plays several channels. */
export function severalPath(channels: readonly string[]): string {
  const query = channels.map((name) => `c=${encodeURIComponent(name)}`).join("&");
  return query === "" ? "/watch" : `/watch?${query}`;
}

/** What the page plays from the beginning on. */
export function routeTargets(route: Route): readonly Target[] {
  switch (route.page) {
    case "watch":
      return [route.target];
    case "several":
      return route.channels.map((name) => ({ kind: "channel", name }));
    case "embed":
      return route.wishes.autoplay ? [route.target] : [];
    case "home":
    case "studio":
    case "not-found":
      return [];
  }
}

/** How the viewer wants to talk to the server: `?signaling=whep` helps where WebSockets are blocked. */
export function forcedSignaling(query: string): "websocket" | "whep" | null {
  const wish = new URLSearchParams(query).get("signaling");
  return wish === "whep" || wish === "websocket" ? wish : null;
}

function embedWishes(asked: URLSearchParams): EmbedWishes {
  // `?muted` and `?muted=1` mean the same, as with attributes of HTML.
  const on = (name: string, unsaid: boolean): boolean => {
    const value = asked.get(name);
    return value === null ? unsaid : value !== "0" && value !== "false";
  };
  const latency = asked.get("latency");
  const colour = /^#?([0-9a-f]{6})$/i.exec(asked.get("colour") ?? "")?.[1];
  return {
    autoplay: on("autoplay", true),
    muted: on("muted", true),
    controls: on("controls", true),
    latency: isLatencyMode(latency) ? latency : null,
    colour: colour === undefined ? null : `#${colour}`,
    logo: on("logo", true),
  };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;
}

/** Addresses are typed by hand too: a stray `%` is no reason to fall over. */
function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
