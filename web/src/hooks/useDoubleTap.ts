import { type RefObject, useEffect, useEffectEvent } from "react";

const WITHIN_MS = 320;
const WITHIN_PX = 48;

/** Calls `onDouble` for a double click or two taps on the picture itself, not on what lies over it. */
export function useDoubleTap(ref: RefObject<HTMLElement | null>, onDouble: () => void): void {
  const act = useEffectEvent(onDouble);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    let last: { readonly atMs: number; readonly x: number; readonly y: number } | null = null;
    const onUp = (event: PointerEvent): void => {
      const { timeStamp: atMs, clientX: x, clientY: y } = event;
      if (event.button !== 0) return;
      const near = last && atMs - last.atMs < WITHIN_MS && Math.hypot(x - last.x, y - last.y) < WITHIN_PX;
      last = near ? null : { atMs, x, y };
      if (near) act();
    };
    element.addEventListener("pointerup", onUp);
    return () => {
      element.removeEventListener("pointerup", onUp);
    };
  }, [ref]);
}
