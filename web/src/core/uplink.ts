import type { Uplink } from "./messages";

/** The way from the camera to the server, as the server tells it; null where it does not, or says nonsense. */
export function readUplink(value: unknown): Uplink | null {
  if (typeof value !== "object" || value === null) return null;
  const { delay_ms, basis } = value as Partial<Record<keyof Uplink, unknown>>;
  const known = basis === "capture" || basis === "network";
  return known && typeof delay_ms === "number" && delay_ms >= 0 && delay_ms <= 60_000 ? { delay_ms, basis } : null;
}
