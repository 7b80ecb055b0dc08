/** Decoding takes milliseconds; whoever has not finished by then is stuck. */
const PATIENCE_MS = 5_000;
/**
 * So long after a browser says that it has the first picture it is drawn in any case: not all of them call back for one
 * that does not play.
 */
const PRESENT_MS = 250;

/**
 * The first picture of a film, ready to be drawn; null when there is none or the browser cannot play it. Let go of it with
 * {@link release}.
 *
 * Chromium (seen in 156) tells of loaded data up to 16 ms before there is something to draw: 8 of 100 stills that were
 * drawn then were empty, and none of those that were drawn when the picture was presented.
 */
export function firstPicture(url: string, video: HTMLVideoElement): Promise<HTMLVideoElement | null> {
  return new Promise((resolve) => {
    let presented = !("requestVideoFrameCallback" in video);
    let loaded = false;
    const finish = (found: boolean): void => {
      clearTimeout(timer);
      video.onloadeddata = video.onerror = null;
      if (!found) release(video);
      resolve(found ? video : null);
    };
    let timer = setTimeout(() => {
      finish(false);
    }, PATIENCE_MS);
    const look = (): void => {
      if (!loaded) return;
      clearTimeout(timer);
      if (presented || video.videoWidth === 0) finish(video.videoWidth > 0);
      else {
        timer = setTimeout(() => {
          finish(true);
        }, PRESENT_MS);
      }
    };
    if (!presented) {
      video.requestVideoFrameCallback(() => {
        presented = true;
        look();
      });
    }
    video.muted = true;
    video.preload = "auto";
    video.playsInline = true;
    video.onloadeddata = () => {
      loaded = true;
      look();
    };
    video.onerror = () => {
      finish(false);
    };
    video.src = url;
  });
}

/** Lets go of the decoder: browsers have few. */
export function release(video: HTMLVideoElement): void {
  video.removeAttribute("src");
  video.load();
}
