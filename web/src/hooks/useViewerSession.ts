import { useEffect, useSyncExternalStore } from "react";
import type { Target } from "../core/target";
import type { ViewerSession } from "../core/viewerSession";
import type { ViewerSnapshot } from "../core/viewerSnapshot";
import { useHeliograph } from "./useHeliograph";

/** Watches `target` for as long as the component is there. The component should be keyed by the target. */
export function useViewerSession(target: Target): { session: ViewerSession; snapshot: ViewerSnapshot } {
  const { keeper } = useHeliograph();
  const session = keeper.session(target);
  useEffect(() => keeper.hold(session.target), [keeper, session]);
  const snapshot = useSyncExternalStore(session.subscribe, session.snapshot);
  return { session, snapshot };
}
