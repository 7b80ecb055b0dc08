import { useSyncExternalStore } from "react";
import type { StreamsState } from "../core/streamsClient";
import { useHeliograph } from "./useHeliograph";

/** What is on the air. Asks the server only while `wanted`. */
export function useStreams(wanted: boolean): StreamsState {
  const { streams } = useHeliograph();
  return useSyncExternalStore(wanted ? streams.subscribe : subscribeToNothing, streams.snapshot);
}

function subscribeToNothing(): () => void {
  return () => undefined;
}
