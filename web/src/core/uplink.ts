import type { Uplink } from "./messages";

/** The way from the camera to the server, as the server tells it; null where it does not, or says nonsense. */
export function readUplink(value: unknown): Uplink | null {
  if (typeof value !== "object" || value === null) return null;
  const { delay_ms, arrival_ms, basis } = value as Partial<Record<keyof Uplink, unknown>>;
  const known = basis === "capture" || basis === "network";
  return known && isDelay(delay_ms) && isDelay(arrival_ms) ? { delay_ms, arrival_ms, basis } : null;
}

function isDelay(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 60_000;
}
