import { useEffect, useRef } from "react";
import type { ViewerState } from "../core/viewerState";
import type { VideoControls } from "./useVideoElement";

/** What whoever embeds a player may know of it. */
export interface PlayerStatus {
  readonly state: ViewerState;
  readonly viewers: number | null;
  readonly muted: boolean;
  readonly volume: number;
  readonly paused: boolean;
}

export interface PlayerReport extends PlayerStatus {
  /** What whoever embeds it may do with it. */
  readonly video: VideoControls;
}

/** Tells `onReport` how the player stands, now and after each change. */
export function usePlayerReport(
  onReport: ((report: PlayerReport) => void) | undefined,
  { state, viewers, muted, volume, paused }: PlayerStatus,
  video: VideoControls,
): void {
  const controls = useRef(video);
  useEffect(() => {
    controls.current = video;
  });
  useEffect(() => {
    onReport?.({ state, viewers, muted, volume, paused, video: controls.current });
  }, [onReport, state, viewers, muted, volume, paused]);
}
