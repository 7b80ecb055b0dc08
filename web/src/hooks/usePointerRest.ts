import { type RefObject, useEffect, useState } from "react";

const REST_MS = 2_800;

/** Whether nobody has touched `frame`, moved over it or typed in it for a while. */
export function usePointerRest(frame: RefObject<HTMLElement | null>): boolean {
  const [resting, setResting] = useState(false);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    let timer: ReturnType<typeof setTimeout>;
    const wake = (): void => {
      clearTimeout(timer);
      setResting(false);
      timer = setTimeout(() => {
        setResting(true);
      }, REST_MS);
    };
    const leave = (event: PointerEvent): void => {
      if (event.pointerType !== "mouse") return;
      clearTimeout(timer);
      setResting(true);
    };
    wake();
    for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) element.addEventListener(name, wake);
    element.addEventListener("pointerleave", leave);
    return () => {
      clearTimeout(timer);
      for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) element.removeEventListener(name, wake);
      element.removeEventListener("pointerleave", leave);
    };
  }, [frame]);
  return resting;
}
