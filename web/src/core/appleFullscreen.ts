/** What comes so shortly before or after leaving is the browser's doing. */
const SAME_MOMENT_MS = 500;

/**
 * iPhones show a video on the full screen in a player of their own, and stop it when that is left, a live one too. Lets it go
 * on, unless the viewer had stopped it there; until the returned function is called.
 */
export function resumeAfterAppleFullscreen(video: HTMLVideoElement, nowMs: () => number): () => void {
  let pausedMs = -Infinity;
  let leftMs = -Infinity;
  const look = (): void => {
    if (!video.paused || Math.abs(pausedMs - leftMs) > SAME_MOMENT_MS) return;
    [pausedMs, leftMs] = [-Infinity, -Infinity];
    void video.play().catch(() => undefined);
  };
  const onPause = (): void => {
    pausedMs = nowMs();
    look();
  };
  const onLeave = (): void => {
    leftMs = nowMs();
    look();
  };
  video.addEventListener("pause", onPause);
  video.addEventListener("webkitendfullscreen", onLeave);
  return () => {
    video.removeEventListener("pause", onPause);
    video.removeEventListener("webkitendfullscreen", onLeave);
  };
}
