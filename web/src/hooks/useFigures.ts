import { useEffect, useState } from "react";
import { FigureLog, type FigureReport } from "../core/figures";
import type { ViewerSession } from "../core/viewerSession";

const EVERY_MS = 1_000;

/** How playback goes, looked at once a second; measures the server's clock meanwhile. */
export function useFigures(session: ViewerSession): FigureReport | null {
  const [report, setReport] = useState<FigureReport | null>(null);
  useEffect(() => {
    const log = new FigureLog();
    const look = (): void => {
      const { playback } = session;
      if (playback) setReport(log.push(playback, session.clock, session.uplink));
    };
    const stopClock = session.watchClock();
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => {
      clearInterval(timer);
      stopClock();
    };
  }, [session]);
  return report;
}
