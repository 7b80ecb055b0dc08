import { useEffect } from "react";

/** Browsers give it to pages over https and on the same machine only. */
export function wakeLockPossible(): boolean {
  return "wakeLock" in navigator;
}

/** Keeps the screen from going dark while `active`. The browser takes the lock away from hidden pages. */
export function useWakeLock(active: boolean): void {
  useEffect(() => {
    if (!active || !wakeLockPossible()) return;
    let held: WakeLockSentinel | null = null;
    let over = false;
    const take = async (): Promise<void> => {
      if (document.visibilityState !== "visible" || (held && !held.released)) return;
      try {
        const lock = await navigator.wakeLock.request("screen");
        if (over) await lock.release();
        else held = lock;
      } catch {
        // A low battery is a reason to refuse.
      }
    };
    const onVisible = (): void => void take();
    onVisible();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      over = true;
      document.removeEventListener("visibilitychange", onVisible);
      void held?.release().catch(() => undefined);
    };
  }, [active]);
}
