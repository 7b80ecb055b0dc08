import { type RefObject, useCallback, useEffect, useSyncExternalStore } from "react";
import { resumeAfterAppleFullscreen } from "../core/appleFullscreen";

export interface Toggle {
  readonly on: boolean;
  readonly possible: boolean;
  readonly toggle: () => void;
}

/** iPhones can only show the video itself full screen, in their own player. */
interface AppleVideo extends HTMLVideoElement {
  webkitEnterFullscreen?: () => void;
}

export function fullscreenPossible(): boolean {
  return document.fullscreenEnabled || "webkitEnterFullscreen" in HTMLVideoElement.prototype;
}

/** Shows `frame` on the whole screen, or the `video` alone where nothing else is allowed. */
export function useFullscreen(frame: RefObject<HTMLElement | null>, video: RefObject<HTMLVideoElement | null>): Toggle {
  const on = useSyncExternalStore(subscribe, () => document.fullscreenElement instanceof Element);
  useGoingOn(video);
  const toggle = useCallback(() => {
    const element: AppleVideo | null = video.current;
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (document.fullscreenEnabled) void frame.current?.requestFullscreen().catch(() => undefined);
    else element?.webkitEnterFullscreen?.();
  }, [frame, video]);
  return { on, possible: fullscreenPossible(), toggle };
}

/** Does not stop when an iPhone's own full screen is left. */
function useGoingOn(video: RefObject<HTMLVideoElement | null>): void {
  useEffect(() => {
    const element = video.current;
    return element ? resumeAfterAppleFullscreen(element, () => performance.now()) : undefined;
  }, [video]);
}

function subscribe(listener: () => void): () => void {
  document.addEventListener("fullscreenchange", listener);
  return () => {
    document.removeEventListener("fullscreenchange", listener);
  };
}
