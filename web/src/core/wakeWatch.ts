/** Looks at the clock this often. */
const EVERY_MS = 5_000;
/** A look that comes so much later than it should means that the computer slept. */
const SLEPT_MS = 15_000;

/** Calls `onWake` after the computer has slept; timers stand still meanwhile, the wall clock does not. */
export function watchWake(onWake: () => void, wallMs: () => number): () => void {
  let lookedMs = wallMs();
  const timer = setInterval(() => {
    const nowMs = wallMs();
    if (nowMs - lookedMs > EVERY_MS + SLEPT_MS) onWake();
    lookedMs = nowMs;
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
  };
}
