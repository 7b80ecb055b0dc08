import { useMemo, useSyncExternalStore } from "react";
import { parseRoute, type Route } from "../core/route";

const listeners = new Set<() => void>();

/** Goes to another address of this page without loading it anew. */
export function navigate(href: string): void {
  window.history.pushState(null, "", href);
  window.scrollTo(0, 0);
  for (const listener of [...listeners]) listener();
}

/** The page that the address bar asks for. */
export function useRoute(): Route {
  const address = useSyncExternalStore(subscribe, currentAddress);
  return useMemo(() => {
    const url = new URL(address, window.location.origin);
    return parseRoute(url.pathname, url.search);
  }, [address]);
}

function currentAddress(): string {
  return window.location.pathname + window.location.search;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}
