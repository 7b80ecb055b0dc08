import { useCallback, useEffect, useRef } from "react";
import { embedCommand, type EmbedStatus, stateDetail } from "../core/embedApi";
import { useHeliograph } from "./useHeliograph";
import type { PlayerReport } from "./usePlayerReport";

/** Talks with the page that has this one in a frame. `start` begins what waits for a click. */
export function useEmbedApi(channel: string, start: () => void): (report: PlayerReport) => void {
  const { latency } = useHeliograph().choices;
  const newest = useRef<PlayerReport | null>(null);

  const tell = useCallback(() => {
    if (window.parent === window) return;
    const report = newest.current;
    const status: EmbedStatus = {
      from: "heliograph",
      type: "status",
      channel,
      state: report?.state.kind ?? "idle",
      detail: report ? stateDetail(report.state) : null,
      viewers: report?.viewers ?? null,
      muted: report?.muted ?? true,
      volume: report?.volume ?? 1,
      paused: report?.paused ?? true,
    };
    // To whoever has framed us: anybody may, and nothing in here is a secret.
    window.parent.postMessage(status, "*");
  }, [channel]);

  useEffect(() => {
    const onMessage = (event: MessageEvent<unknown>): void => {
      if (event.source !== window.parent || window.parent === window) return;
      const asked = embedCommand(event.data);
      if (!asked) return;
      const report = newest.current;
      switch (asked.command) {
        case "play":
          if (!report) start();
          else if (report.paused || report.state.kind === "autoplay-blocked") report.video.togglePlay();
          return;
        case "pause":
          if (report?.paused === false) report.video.togglePlay();
          return;
        case "mute":
        case "unmute":
          if (report?.muted === (asked.command === "unmute")) report.video.toggleMute();
          return;
        case "volume":
          report?.video.setVolume(asked.value);
          return;
        case "latency":
          latency.lend(asked.value);
          return;
        case "status":
          tell();
          return;
      }
    };
    window.addEventListener("message", onMessage);
    tell();
    return () => {
      window.removeEventListener("message", onMessage);
    };
  }, [start, tell, latency]);

  return useCallback(
    (report) => {
      newest.current = report;
      tell();
    },
    [tell],
  );
}
