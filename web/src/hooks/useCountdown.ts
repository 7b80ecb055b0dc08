import { useEffect, useState } from "react";

/** Whole seconds left of `totalMs`, counted from when the component appeared: key it by what it counts down to. */
export function useCountdown(totalMs: number): number {
  const [endMs] = useState(() => performance.now() + totalMs);
  const [leftMs, setLeftMs] = useState(totalMs);
  useEffect(() => {
    const timer = setInterval(() => {
      setLeftMs(Math.max(0, endMs - performance.now()));
    }, 250);
    return () => {
      clearInterval(timer);
    };
  }, [endMs]);
  return Math.ceil(leftMs / 1000);
}
