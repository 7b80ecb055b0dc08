import { describe, expect, it } from "vitest";
import { embedCommand, stateDetail } from "./embedApi";

describe("embedCommand", () => {
  it.each([
    [{ to: "heliograph", command: "play" }, { command: "play" }],
    [{ to: "heliograph", command: "status", value: 7 }, { command: "status" }],
    [{ to: "heliograph", command: "volume", value: 0.5 }, { command: "volume", value: 0.5 }],
    [{ to: "heliograph", command: "latency", value: "smooth" }, { command: "latency", value: "smooth" }],
    [{ to: "heliograph", command: "volume", value: 2 }, null],
    [{ to: "heliograph", command: "volume", value: "loud" }, null],
    [{ to: "heliograph", command: "latency", value: "none" }, null],
    [{ to: "heliograph", command: "explode" }, null],
    [{ to: "somebody", command: "play" }, null],
    ["play", null],
    [null, null],
  ])("%j", (data, command) => {
    expect(embedCommand(data)).toEqual(command);
  });
});

it("stateDetail says what the name of the state leaves open", () => {
  expect(stateDetail({ kind: "connecting", step: "joining", attempt: 1 })).toBe("joining");
  expect(stateDetail({ kind: "stalled", sinceMs: 0, reason: "loss" })).toBe("loss");
  expect(stateDetail({ kind: "offline", ended: true })).toBe("ended");
  expect(stateDetail({ kind: "failed", cause: { code: "codec" } })).toBe("codec");
  expect(stateDetail({ kind: "live" })).toBeNull();
});
