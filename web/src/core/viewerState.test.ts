import { describe, expect, it } from "vitest";
import { type Cause, IDLE, next, type ViewerEvent, type ViewerState } from "./viewerState";

const connecting: ViewerState = { kind: "connecting", step: "joining", attempt: 1 };
const waiting: ViewerState = { kind: "waiting" };
const live: ViewerState = { kind: "live" };
const away: ViewerState = { kind: "away" };
const stalled: ViewerState = { kind: "stalled", sinceMs: 7, reason: "network" };
const clickToPlay: ViewerState = { kind: "autoplay-blocked" };
const offline: ViewerState = { kind: "offline", ended: false };
const ended: ViewerState = { kind: "offline", ended: true };
const failed: ViewerState = { kind: "failed", cause: { code: "codec" } };
const retrying: ViewerState = { kind: "retrying", inMs: 250, attempt: 2, cause: { code: "socket-lost" } };
const blocked: Cause = { code: "path-blocked", addresses: ["203.0.113.5:20000"] };
const lost = (code: Cause["code"]): ViewerEvent => ({ type: "lost", cause: { code }, inMs: 250, attempt: 2 });
const server = (state: "live" | "waiting" | "away" | "offline"): ViewerEvent => ({ type: "server", state });

describe("next", () => {
  it.each<[string, ViewerState, ViewerEvent, ViewerState]>([
    ["begins", IDLE, { type: "attempt", attempt: 1 }, { kind: "connecting", step: "reaching", attempt: 1 }],
    ["knows its step", connecting, { type: "step", step: "joining" }, connecting],
    ["is joined", connecting, { type: "joined" }, waiting],
    ["shows the first picture", waiting, { type: "picture", blocked: false }, live],
    ["may see the picture before it knows that it is joined", connecting, { type: "picture", blocked: false }, live],
    ["stalls", live, { type: "stalled", atMs: 7, reason: "network" }, stalled],
    ["cannot stall before the first picture", waiting, { type: "stalled", atMs: 7, reason: "network" }, waiting],
    ["learns why it stalls", stalled, { type: "stalled", atMs: 9, reason: "loss" }, { kind: "stalled", sinceMs: 7, reason: "loss" }],
    ["waits for a click", waiting, { type: "picture", blocked: true }, clickToPlay],
    ["plays after the click", clickToPlay, { type: "picture", blocked: false }, live],
    ["is over before anybody clicked", clickToPlay, server("offline"), ended],
    ["does not stall unseen", clickToPlay, { type: "stalled", atMs: 7, reason: "network" }, clickToPlay],
    ["recovers", stalled, { type: "picture", blocked: false }, live],
    ["is live again after the same connection came back", live, { type: "joined" }, live],

    ["hears that the streamer is away", live, server("away"), away],
    ["does not take a late picture for a return", away, { type: "picture", blocked: false }, away],
    ["hears that the streamer is back", away, server("live"), waiting],
    ["hears nothing new", live, server("live"), live],
    ["hears that the stream is there without media", connecting, server("waiting"), waiting],
    ["hears that nobody streams", connecting, server("offline"), offline],
    ["hears that it is over", live, server("offline"), ended],
    ["remembers that it was over", ended, server("offline"), ended],
    ["wakes up when somebody streams", offline, server("live"), waiting],

    ["loses the connection", live, lost("socket-lost"), { kind: "retrying", inMs: 250, attempt: 2, cause: { code: "socket-lost" } }],
    ["tries again", retrying, { type: "attempt", attempt: 2 }, { kind: "connecting", step: "reaching", attempt: 2 }],
    ["goes on saying that the network is blocked", { ...retrying, cause: blocked }, { type: "attempt", attempt: 2 }, { kind: "connecting", step: "reaching", attempt: 2, after: blocked }],
    ["until there is a way", { ...connecting, after: blocked }, { type: "joined" }, waiting],
    ["and at every step", { ...connecting, after: blocked }, { type: "step", step: "joining" }, { ...connecting, after: blocked }],
    ["is told that it is over", live, lost("ended"), ended],
    ["finds no stream", connecting, lost("no-stream"), offline],
    ["asks again quietly while nobody streams", offline, { type: "attempt", attempt: 3 }, offline],
    ["asks again quietly after the end", ended, { type: "step", step: "negotiating" }, ended],
    ["goes on waiting when the socket of an ended stream is refused", ended, lost("socket-refused"), ended],
    ["says so when the server itself is gone meanwhile", ended, lost("unreachable"), { ...retrying, cause: { code: "unreachable" } }],
    ["moves on when an offer comes", ended, { type: "step", step: "joining" }, connecting],

    ["gives up", connecting, { type: "gave-up", cause: { code: "codec" } }, failed],
    ["stays given up", failed, { type: "picture", blocked: false }, failed],
    ["tries again after giving up when asked to", failed, { type: "attempt", attempt: 1 }, { kind: "connecting", step: "reaching", attempt: 1 }],
    ["ignores late news after the end", IDLE, server("live"), IDLE],
    ["closes", live, { type: "closed" }, IDLE],
  ])("%s", (_name, state, event, expected) => {
    expect(next(state, event)).toEqual(expected);
  });

  it("keeps the attempt while the steps go on", () => {
    const second: ViewerState = { kind: "connecting", step: "reaching", attempt: 2 };
    expect(next(second, { type: "step", step: "joining" })).toEqual({ kind: "connecting", step: "joining", attempt: 2 });
  });
});
