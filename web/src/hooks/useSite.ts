import { useSyncExternalStore } from "react";
import type { Site } from "../core/branding";
import { useHeliograph } from "./useHeliograph";

/** What the operator has made of the page. */
export function useSite(): Site {
  const { site } = useHeliograph();
  return useSyncExternalStore(site.subscribe, site.snapshot);
}
