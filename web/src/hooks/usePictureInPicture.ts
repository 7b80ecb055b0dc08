import { type RefObject, useCallback, useEffect, useState } from "react";
import type { Toggle } from "./useFullscreen";

export function pictureInPicturePossible(): boolean {
  // False in Firefox, which has a button of its own, and where a permission policy forbids it.
  return "pictureInPictureEnabled" in document && document.pictureInPictureEnabled;
}

/** Shows the video in a small window above all others. */
export function usePictureInPicture(ref: RefObject<HTMLVideoElement | null>): Toggle {
  const [on, setOn] = useState(false);
  useEffect(() => {
    const video = ref.current;
    if (!video) return;
    const follow = (): void => {
      setOn(document.pictureInPictureElement === video);
    };
    video.addEventListener("enterpictureinpicture", follow);
    video.addEventListener("leavepictureinpicture", follow);
    return () => {
      video.removeEventListener("enterpictureinpicture", follow);
      video.removeEventListener("leavepictureinpicture", follow);
    };
  }, [ref]);
  const toggle = useCallback(() => {
    const video = ref.current;
    if (!video || !pictureInPicturePossible()) return;
    const done =
      document.pictureInPictureElement === video ? document.exitPictureInPicture() : video.requestPictureInPicture();
    // Before the first picture there is nothing to show, and the browser says so.
    done.catch(() => undefined);
  }, [ref]);
  return { on, possible: pictureInPicturePossible(), toggle };
}
