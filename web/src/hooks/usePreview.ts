import { type RefObject, useEffect, useState } from "react";
import { previewUrl } from "../core/config";
import { firstPicture, release } from "../core/firstPicture";
import { useHeliograph } from "./useHeliograph";

/** How often a card in sight gets a new still. */
const EVERY_MS = 6_000;
/** Wider than a card ever is on a screen with one pixel for each of ours. */
const WIDEST_PX = 480;

/**
 * Draws what a stream shows into the canvas, anew every few seconds while it can be seen. The server sends the newest
 * keyframe as a film of one picture, which works over plain http too. True once there is something to see.
 */
export function usePreview(canvas: RefObject<HTMLCanvasElement | null>, port: number, on: boolean): boolean {
  const { endpoints } = useHeliograph();
  const [drawn, setDrawn] = useState(false);
  useEffect(() => {
    const place = canvas.current;
    if (!on || !place || !("IntersectionObserver" in window)) return;
    const watched = new AbortController();
    const { signal } = watched;
    let inSight = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const refresh = async (): Promise<void> => {
      clearTimeout(timer);
      const known = await endpoints;
      if (signal.aborted || !inSight || document.hidden) return;
      // Cards that are on many screens ask for the same address, so that caches on the way can answer.
      const video = await firstPicture(
        previewUrl(known, port, Math.floor(Date.now() / EVERY_MS)),
        document.createElement("video"),
      );
      if (isOver(signal)) return;
      if (video) {
        place.width = Math.min(WIDEST_PX, video.videoWidth);
        place.height = Math.round((place.width * video.videoHeight) / video.videoWidth);
        place.getContext("2d")?.drawImage(video, 0, 0, place.width, place.height);
        release(video);
        setDrawn(true);
      }
      timer = setTimeout(() => void refresh(), EVERY_MS);
    };
    const sight = new IntersectionObserver(([entry]) => {
      inSight = entry?.isIntersecting ?? false;
      if (inSight) void refresh();
    });
    const onVisible = (): void => {
      if (!document.hidden) void refresh();
    };
    sight.observe(place);
    document.addEventListener("visibilitychange", onVisible, { signal });
    return () => {
      watched.abort();
      clearTimeout(timer);
      sight.disconnect();
    };
  }, [canvas, endpoints, port, on]);
  return drawn && on;
}

/** Asked anew: TypeScript would remember the answer from before the wait. */
const isOver = (signal: AbortSignal): boolean => signal.aborted;
