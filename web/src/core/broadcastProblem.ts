import type { WhipRefusal } from "./whipClient";

/** Why nothing goes out, or why it stopped. */
export type BroadcastProblem = WhipRefusal | DeviceProblem | "connection-lost" | "device-gone";

export type DeviceProblem =
  /** Not on https or localhost: browsers do not even ask. */
  | "insecure"
  /** The person, or the browser's settings, said no. */
  | "denied"
  | "no-device"
  /** Another program has it. */
  | "busy"
  | "device-trouble";

const NAMES: Readonly<Record<string, DeviceProblem>> = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "no-device",
  OverconstrainedError: "no-device",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** What an error of `getUserMedia` or `getDisplayMedia` means. */
export function explain(error: unknown): DeviceProblem {
  const name = typeof error === "object" && error !== null ? (error as { name?: unknown }).name : null;
  return (typeof name === "string" ? NAMES[name] : undefined) ?? "device-trouble";
}
