import { useEffect, useEffectEvent } from "react";

interface Playing {
  readonly title: string;
  readonly site: string;
  readonly paused: boolean;
  readonly togglePlay: () => void;
}

/** Tells the system what plays, for lock screens and media keys; null: nothing does. */
export function useMediaSession(playing: Playing | null): void {
  const toggle = useEffectEvent(() => {
    playing?.togglePlay();
  });
  const { title, site, paused } = playing ?? {};
  useEffect(() => {
    if (!("mediaSession" in navigator) || title === undefined) return;
    const { mediaSession } = navigator;
    mediaSession.metadata = new MediaMetadata({ title, artist: site ?? "" });
    for (const action of ["play", "pause", "stop"] as const) {
      mediaSession.setActionHandler(action, () => {
        const stands = mediaSession.playbackState === "paused";
        if ((action === "play") === stands) toggle();
      });
    }
    return () => {
      mediaSession.metadata = null;
      mediaSession.playbackState = "none";
      for (const action of ["play", "pause", "stop"] as const) mediaSession.setActionHandler(action, null);
    };
  }, [title, site]);
  useEffect(() => {
    if (!("mediaSession" in navigator) || paused === undefined) return;
    navigator.mediaSession.playbackState = paused ? "paused" : "playing";
  }, [paused]);
}
