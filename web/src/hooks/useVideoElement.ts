import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

export interface VideoControls {
  readonly muted: boolean;
  /** From 0 to 1. */
  readonly volume: number;
  /** The viewer has stopped the picture. */
  readonly paused: boolean;
  /** A picture has been shown and still is, although it may stand still. */
  readonly pictured: boolean;
  /** The browser waits for a click before it plays anything. */
  readonly blocked: boolean;
  /** The sound was switched off by us, so that the picture could start by itself, and nobody has chosen yet. */
  readonly soundUnasked: boolean;
  readonly togglePlay: () => void;
  readonly toggleMute: () => void;
  readonly setVolume: (volume: number) => void;
}

/**
 * Plays `stream` in the video element, muted until the viewer says otherwise: browsers let nothing else start by itself.
 * `onPicture` is told the first picture of each stream at the moment it is shown.
 */
export function useVideoElement(
  ref: RefObject<HTMLVideoElement | null>,
  stream: MediaStream | null,
  onPicture: (stream: MediaStream) => void,
): VideoControls {
  const stopped = useRef(false);
  const [sound, setSound] = useState({ muted: true, volume: 1 });
  const [paused, setPaused] = useState(false);
  const [picturedStream, setPicturedStream] = useState<MediaStream | null>(null);
  // It outlives its stream when another one replaces that, and ends when none does.
  if (stream === null && picturedStream !== null) setPicturedStream(null);
  const [blocked, setBlocked] = useState(false);
  const [soundUnasked, setSoundUnasked] = useState(true);

  const play = useCallback(() => {
    const video = ref.current;
    if (!video) return;
    void video.play().then(
      () => {
        setBlocked(false);
      },
      (error: unknown) => {
        // Other failures are a newer stream taking this one's place.
        if (error instanceof DOMException && error.name === "NotAllowedError") setBlocked(true);
      },
    );
  }, [ref]);

  useLayoutEffect(() => {
    const video = ref.current;
    if (!video) return;
    video.srcObject = stream;
    if (!stream) return;
    let over = false;
    const seen = (): void => {
      if (over) return;
      setPicturedStream(stream);
      onPicture(stream);
    };
    // Missing in old browsers; the session then notices pictures by its figures.
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(seen);
    if (!stopped.current) play();
    return () => {
      over = true;
    };
  }, [ref, stream, onPicture, play]);

  useEffect(() => {
    const video = ref.current;
    if (!video) return;
    // Media keys and picture-in-picture windows have buttons of their own.
    const onPause = (): void => {
      // Phones stop the picture of a page in the background; that is nobody's wish. And so is the end of a stream.
      if (video.ended || document.hidden) return;
      stopped.current = true;
      setPaused(true);
    };
    const onPlay = (): void => {
      stopped.current = false;
      setPaused(false);
    };
    const onVisibility = (): void => {
      if (!document.hidden && video.srcObject && video.paused && !stopped.current) play();
    };
    video.addEventListener("pause", onPause);
    video.addEventListener("play", onPlay);
    document.addEventListener("visibilitychange", onVisibility);
    return () => {
      video.removeEventListener("pause", onPause);
      video.removeEventListener("play", onPlay);
      document.removeEventListener("visibilitychange", onVisibility);
    };
  }, [ref, play]);

  const change = useCallback((apply: (video: HTMLVideoElement) => void) => {
    const video = ref.current;
    if (!video) return;
    apply(video);
    setSound({ muted: video.muted, volume: video.volume });
    setSoundUnasked(false);
  }, [ref]);

  const toggleMute = useCallback(() => {
    change((video) => {
      video.muted = !video.muted;
      if (!video.muted && video.volume === 0) video.volume = 0.5;
    });
  }, [change]);

  const setVolume = useCallback(
    (volume: number) => {
      change((video) => {
        video.volume = volume;
        video.muted = volume === 0;
      });
    },
    [change],
  );

  const togglePlay = useCallback(() => {
    const video = ref.current;
    if (!video) return;
    stopped.current = !video.paused;
    setPaused(stopped.current);
    if (stopped.current) video.pause();
    else play();
  }, [ref, play]);

  return { ...sound, paused, pictured: picturedStream !== null, blocked, soundUnasked, togglePlay, toggleMute, setVolume };
}
