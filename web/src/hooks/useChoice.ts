import { useSyncExternalStore } from "react";
import type { Choice } from "../core/choice";

/** What the viewer has chosen, and the way to choose something else. */
export function useChoice<T>(choice: Choice<T>): [T, (value: T) => void] {
  return [useSyncExternalStore(choice.subscribe, choice.snapshot), choice.choose];
}
