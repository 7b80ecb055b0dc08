import { type RefObject, useCallback, useSyncExternalStore } from "react";

interface Fullscreen {
  readonly on: boolean;
  readonly possible: boolean;
  readonly toggle: () => void;
}

/** iPhones can only show the video itself full screen, in their own player. */
interface AppleVideo extends HTMLVideoElement {
  webkitEnterFullscreen?: () => void;
}

/** Shows `frame` on the whole screen, or the `video` alone where nothing else is allowed. */
export function useFullscreen(
  frame: RefObject<HTMLElement | null>,
  video: RefObject<HTMLVideoElement | null>,
): Fullscreen {
  const on = useSyncExternalStore(subscribe, () => document.fullscreenElement instanceof Element);
  const toggle = useCallback(() => {
    const element: AppleVideo | null = video.current;
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (document.fullscreenEnabled) void frame.current?.requestFullscreen().catch(() => undefined);
    else element?.webkitEnterFullscreen?.();
  }, [frame, video]);
  return { on, possible: document.fullscreenEnabled || "webkitEnterFullscreen" in HTMLVideoElement.prototype, toggle };
}

function subscribe(listener: () => void): () => void {
  document.addEventListener("fullscreenchange", listener);
  return () => {
    document.removeEventListener("fullscreenchange", listener);
  };
}
