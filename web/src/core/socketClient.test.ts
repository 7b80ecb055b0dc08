import { describe, expect, it } from "vitest";
import { parseServerMessage } from "./socketClient";

describe("parseServerMessage", () => {
  it.each([
    ["offer", { event: "offer", data: { type: "offer", sdp: "v=0" } }],
    ["candidate", { event: "candidate", data: { candidate: "candidate:1" } }],
    ["info", { event: "info", data: { no_connections: 3 } }],
    ["state", { event: "state", data: { state: "away", channel: "dawn" } }],
    ["error", { event: "error", data: { code: "full", message: "no room" } }],
    ["close", { event: "close", data: { code: "stream-ended", message: "over" } }],
  ])("takes %s", (_name, message) => {
    expect(parseServerMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    ["not JSON", "{"],
    ["not an object", "7"],
    ["null", "null"],
    ["no data", '{"event":"offer"}'],
    ["data as text", '{"event":"offer","data":"v=0"}'],
    ["an offer without description", '{"event":"offer","data":{}}'],
    ["a count that is no number", '{"event":"info","data":{"no_connections":"3"}}'],
    ["a state nobody knows", '{"event":"state","data":{"state":"asleep"}}'],
    ["an event nobody knows", '{"event":"chat","data":{}}'],
    ["bytes", new ArrayBuffer(3)],
  ])("leaves %s alone", (_name, text) => {
    expect(parseServerMessage(text)).toBeNull();
  });
});
