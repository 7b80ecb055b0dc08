import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { joining, newest, OFFER, pass } from "../testing/fakes";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const LAYERS = [
  { rid: "h", width: 1280, height: 720 },
  { rid: "l", width: 320, height: 180 },
];
const wishes = (socket: { sent: { event: string; data: unknown }[] }) =>
  socket.sent.filter((message) => message.event === "layer").map((message) => message.data);

describe("the layers of a picture", () => {
  it("come and go with the server's word", async () => {
    const { session, sockets } = await joining();
    expect(session.snapshot().layers).toEqual([]);
    newest(sockets).say("state", { state: "live", channel: "dawn", layers: LAYERS });
    expect(session.snapshot().layers).toEqual(LAYERS);
    newest(sockets).say("state", { state: "live", channel: "dawn" });
    expect(session.snapshot().layers).toEqual([]);
  });

  it("are asked for by name, also of the next socket", async () => {
    const { session, sockets } = await joining();
    expect(wishes(newest(sockets))).toEqual([]);
    session.pickLayer("l");
    session.pickLayer(null);
    session.pickLayer("h");
    expect(wishes(newest(sockets))).toEqual(["l", null, "h"]);
    expect(session.snapshot().layer).toBe("h");
    newest(sockets).drop();
    await pass(60_000);
    newest(sockets).accept();
    newest(sockets).say("offer", OFFER);
    expect(wishes(newest(sockets))).toEqual(["h"]);
  });
});
