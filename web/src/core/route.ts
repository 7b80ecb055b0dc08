import type { Target } from "./target";

/** The pages there are. */
export type Route =
  | { readonly page: "home" }
  | { readonly page: "watch"; readonly target: Target }
  | { readonly page: "not-found" };

/** The page that an address asks for. `/?port=N` is how pages before this one named a stream. */
export function parseRoute(path: string, query: string): Route {
  if (path === "/" || path === "/index.html") {
    const port = new URLSearchParams(query).get("port");
    if (port === null) return { page: "home" };
    return isPort(port) ? { page: "watch", target: { kind: "port", port: Number(port) } } : { page: "not-found" };
  }
  const channel = /^\/c\/([^/]+)\/?$/.exec(path)?.[1];
  const name = channel === undefined ? null : decode(channel);
  return name === null ? { page: "not-found" } : { page: "watch", target: { kind: "channel", name } };
}

/** The address of a page that plays `target`. */
export function watchPath(target: Target): string {
  return target.kind === "channel" ? `/c/${encodeURIComponent(target.name)}` : `/?port=${target.port}`;
}

/** How the viewer wants to talk to the server: `?signaling=whep` helps where WebSockets are blocked. */
export function forcedSignaling(query: string): "websocket" | "whep" | null {
  const wish = new URLSearchParams(query).get("signaling");
  return wish === "whep" || wish === "websocket" ? wish : null;
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
