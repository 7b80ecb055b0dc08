import { useMemo, useSyncExternalStore } from "react";
import type { Shape } from "../core/gridLayout";

/** How large the window is, in pixels. */
export function useWindowShape(): Shape {
  const text = useSyncExternalStore(subscribe, () => `${window.innerWidth} ${window.innerHeight}`);
  return useMemo(() => {
    const [width = 0, height = 0] = text.split(" ").map(Number);
    return { width, height };
  }, [text]);
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("resize", listener);
  return () => {
    window.removeEventListener("resize", listener);
  };
}
