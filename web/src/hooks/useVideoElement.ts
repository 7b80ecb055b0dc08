import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { followPictures, type ShownPicture } from "../core/captureTimes";
import type { Choice } from "../core/choice";
import { useChoice } from "./useChoice";

export interface VideoControls {
  readonly muted: boolean;
  /** From 0 to 1. */
  readonly volume: number;
  /** The viewer has stopped the picture. */
  readonly paused: boolean;
  /** A picture has been shown and still is, although it may stand still. */
  readonly pictured: boolean;
  /** The sound was switched off by us, so that the picture could start by itself, and nobody has chosen yet. */
  readonly soundUnasked: boolean;
  readonly togglePlay: () => void;
  readonly toggleMute: () => void;
  readonly setVolume: (volume: number) => void;
}

/** Who decides about the sound where several players share the ears of one viewer. */
export interface SharedSound {
  readonly on: boolean;
  readonly set: (on: boolean) => void;
}

export interface VideoWishes {
  readonly stream: MediaStream | null;
  readonly volume: Choice<number>;
  /** Begin without sound: browsers let nothing else start by itself. */
  readonly startMuted: boolean;
  readonly sound: SharedSound | null;
  /** Told the first picture of each stream at the moment it is shown. */
  readonly onPicture: (stream: MediaStream) => void;
  /** Told about one of its pictures now and then. */
  readonly onLook: (shown: ShownPicture) => void;
  /** Told whether the browser waits for a click before it plays anything. */
  readonly onBlocked: (blocked: boolean) => void;
}

/** Plays a stream in the video element. */
export function useVideoElement(ref: RefObject<HTMLVideoElement | null>, wishes: VideoWishes): VideoControls {
  const { stream, sound, onPicture, onLook, onBlocked } = wishes;
  const stopped = useRef(false);
  const [volume, chooseVolume] = useChoice(wishes.volume);
  const [ownMuted, setOwnMuted] = useState(wishes.startMuted);
  const muted = sound ? !sound.on : ownMuted;
  const [paused, setPaused] = useState(false);
  const [picturedStream, setPicturedStream] = useState<MediaStream | null>(null);
  // It outlives its stream when another one replaces that, and ends when none does.
  if (stream === null && picturedStream !== null) setPicturedStream(null);
  const [soundUnasked, setSoundUnasked] = useState(true);

  const play = useCallback(() => {
    const video = ref.current;
    if (!video) return;
    const start = async (): Promise<void> => {
      if (await played(video)) return;
      // Pictures without sound are better than neither; the button for the sound says the rest.
      if (!video.muted) {
        video.muted = true;
        setOwnMuted(true);
        if (await played(video)) return;
      }
      onBlocked(true);
    };
    const played = async (element: HTMLVideoElement): Promise<boolean> => {
      try {
        await element.play();
        onBlocked(false);
        return true;
      } catch (error) {
        // Other failures are a newer stream taking this one's place.
        return !(error instanceof DOMException) || error.name !== "NotAllowedError";
      }
    };
    void start();
  }, [ref, onBlocked]);

  useLayoutEffect(() => {
    const video = ref.current;
    if (!video) return;
    video.muted = muted;
    video.volume = volume;
  }, [ref, muted, volume]);

  useLayoutEffect(() => {
    const video = ref.current;
    if (!video) return;
    // What plays already goes on.
    const early = video.srcObject === stream;
    if (!early) video.srcObject = stream;
    if (!stream) return;
    let over = false;
    const seen = (): void => {
      if (over) return;
      setPicturedStream(stream);
      onPicture(stream);
    };
    // Missing in old browsers; the session then notices pictures by its figures.
    if (early && video.videoWidth > 0) seen();
    else if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(seen);
    if (!stopped.current) play();
    return () => {
      over = true;
    };
  }, [ref, stream, onPicture, play]);

  useEffect(() => {
    const video = ref.current;
    return video && stream ? followPictures(video, onLook) : undefined;
  }, [ref, stream, onLook]);

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

  const setMuted = useCallback(
    (value: boolean) => {
      // Within the click itself: some browsers allow sound only there.
      if (ref.current) ref.current.muted = value;
      setSoundUnasked(false);
      if (sound) sound.set(!value);
      else setOwnMuted(value);
    },
    [ref, sound],
  );

  const toggleMute = useCallback(() => {
    if (muted && volume === 0) chooseVolume(0.5);
    setMuted(!muted);
  }, [muted, volume, chooseVolume, setMuted]);

  const setVolume = useCallback(
    (value: number) => {
      const share = Math.min(1, Math.max(0, value));
      chooseVolume(share);
      setMuted(share === 0);
    },
    [chooseVolume, setMuted],
  );

  const togglePlay = useCallback(() => {
    const video = ref.current;
    if (!video) return;
    stopped.current = !video.paused;
    setPaused(stopped.current);
    if (stopped.current) video.pause();
    else play();
  }, [ref, play]);

  return { muted, volume, paused, pictured: picturedStream !== null, soundUnasked, togglePlay, toggleMute, setVolume };
}
