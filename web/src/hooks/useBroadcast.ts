import { useEffect, useState, useSyncExternalStore } from "react";
import { Broadcast, type BroadcastState } from "../core/broadcast";
import { level } from "../core/level";
import { PictureInPicture } from "../core/pictureInPicture";

/** The broadcast of this browser; over when the page is left. */
export function useBroadcast(): { broadcast: Broadcast; state: BroadcastState } {
  const [broadcast] = useState(
    () =>
      new Broadcast({
        // Not there on plain http, whatever the types say.
        devices: (navigator as { mediaDevices?: MediaDevices }).mediaDevices,
        fetch: (input, init) => window.fetch(input, init),
        createPeer: () => new RTCPeerConnection({ bundlePolicy: "max-bundle" }),
        createPicture: () => new PictureInPicture(),
      }),
  );
  const state = useSyncExternalStore(broadcast.subscribe, broadcast.snapshot);
  const live = state.phase === "live" || state.phase === "connecting";
  useEffect(() => {
    const leave = (): void => {
      broadcast.stop();
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
    };
  }, [broadcast]);
  useEffect(() => {
    if (!live) return;
    // The browser asks in its own words.
    const ask = (event: BeforeUnloadEvent): void => {
      event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => {
      window.removeEventListener("beforeunload", ask);
    };
  }, [live]);
  return { broadcast, state };
}

const TEN_TIMES_A_SECOND_MS = 100;

/** How loud a stream is, from 0 to 1; null without sound. */
export function useLevel(stream: MediaStream | null): number | null {
  const [loud, setLoud] = useState(0);
  const heard = stream !== null && stream.getAudioTracks().length > 0;
  useEffect(() => {
    if (!stream || !heard) return;
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    const source = context.createMediaStreamSource(stream);
    source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      setLoud(level(samples));
    }, TEN_TIMES_A_SECOND_MS);
    return () => {
      clearInterval(timer);
      source.disconnect();
      void context.close();
    };
  }, [stream, heard]);
  return heard ? loud : null;
}
