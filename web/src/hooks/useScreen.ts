import { type RefObject, useLayoutEffect, useRef } from "react";
import type { Target } from "../core/target";
import { useHeliograph } from "./useHeliograph";

/**
 * Puts the video of `target` into `place`: the one that plays already when there is one. Effects that use the element
 * belong behind this one.
 */
export function useScreen(place: RefObject<HTMLElement | null>, target: Target): RefObject<HTMLVideoElement | null> {
  const { videos } = useHeliograph();
  const element = useRef<HTMLVideoElement | null>(null);
  useLayoutEffect(() => {
    // React may run this twice; the element stays the same.
    element.current ??= videos.take(target);
    place.current?.append(element.current);
  }, [videos, place, target]);
  return element;
}
