import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fakeSession, joining, newest, OFFER, pass } from "../testing/fakes";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function playing() {
  const all = await joining();
  all.session.pictureShown(newest(all.peers).stream);
  return all;
}

const wishes = (socket: { sent: { event: string; data: unknown }[] }) =>
  socket.sent.filter((message) => message.event === "playout").map((message) => message.data);

describe("the viewer's choice of a delay", () => {
  it("holds nothing back until the first picture is there", async () => {
    const { session, peers } = await joining();
    expect(newest(peers).targets).toEqual([null, null]);
    session.pictureShown(newest(peers).stream);
    await pass(300);
    expect(newest(peers).targets).toEqual([50, null]);
  });

  it("lets the past pass first", async () => {
    const { session, peers } = await joining();
    const peer = newest(peers);
    session.pictureShown(peer.stream);
    for (let look = 0; look < 10; look += 1) {
      peer.framesDecoded += 15;
      await pass(50);
      expect(peer.targets).toEqual([null, null]);
    }
    peer.framesDecoded += 3;
    await pass(50);
    expect(peer.targets).toEqual([50, null]);
  });

  it("does not wait for ever", async () => {
    const { session, peers } = await joining();
    session.pictureShown(newest(peers).stream);
    for (let look = 0; look < 40; look += 1) {
      newest(peers).framesDecoded += 15;
      await pass(50);
    }
    expect(newest(peers).targets).toEqual([50, null]);
  });

  it("leaves a little where the browser would jump back to none", async () => {
    const { session, peers, latency } = await joining({ restTargetMs: 1 });
    const peer = newest(peers);
    expect(peer.targets).toEqual([null, null]);
    session.pictureShown(peer.stream);
    await pass(300);
    latency.set("lowest");
    await pass(1_000);
    expect(peer.targets).toEqual([1, null]);
  });

  it("is reached in steps in both directions, also when it changes on the way", async () => {
    const { peers, latency } = await playing();
    const peer = newest(peers);
    const seen: unknown[] = [];
    const watch = async (times: number) => {
      for (let count = 0; count < times; count += 1) {
        await pass(100);
        seen.push(peer.targets);
      }
    };
    await watch(2);
    latency.set("smooth");
    await watch(2);
    latency.set("lowest");
    await watch(6);
    expect(seen).toEqual([
      [50, null],
      [50, null],
      [70, 20],
      [80, 30],
      [70, 20],
      [60, 10],
      [50, null],
      [30, null],
      [10, null],
      [null, null],
    ]);
  });

  it("asks a server for nothing that it does anyway", async () => {
    const { sockets, latency } = await playing();
    latency.set("lowest");
    expect(wishes(newest(sockets))).toEqual([]);
  });

  it("is followed at once, and further when the server allows it", async () => {
    const { sockets, peers, latency } = await playing();
    latency.set("smooth");
    expect(wishes(newest(sockets))).toEqual([{ min_ms: 0, max_ms: 1250 }]);
    await pass(5000);
    expect(newest(peers).targets).toEqual([400, 400]);
    newest(sockets).say("playout", { min_ms: 0, max_ms: 1250, limit_ms: 4000 });
    await pass(7000);
    expect(newest(peers).targets).toEqual([1000, 1000]);
    latency.set("lowest");
    await pass(9000);
    // What is not allowed any more would be thrown away.
    expect(wishes(newest(sockets))).toEqual([{ min_ms: 0, max_ms: 1250 }]);
    await pass(2000);
    expect(wishes(newest(sockets))).toEqual([{ min_ms: 0, max_ms: 1250 }, null]);
    expect(newest(peers).targets).toEqual([null, null]);
    newest(sockets).say("playout", { min_ms: 0, max_ms: 500, limit_ms: 4000 });
    latency.set("balanced");
    await pass(1000);
    expect(newest(peers).targets).toEqual([50, null]);
  });

  it("is told to the next server and the next peer connection, too", async () => {
    const { session, sockets, peers, latency } = await playing();
    latency.set("smooth");
    newest(sockets).say("playout", { min_ms: 0, max_ms: 1250, limit_ms: 4000 });
    newest(sockets).drop();
    await pass(250);
    newest(sockets).accept();
    expect(wishes(newest(sockets))).toEqual([{ min_ms: 0, max_ms: 1250 }]);
    newest(sockets).say("offer", OFFER);
    await pass();
    newest(peers).become("connected");
    session.pictureShown(newest(peers).stream);
    await pass(5000);
    expect(newest(peers).targets).toEqual([400, 400]);
    newest(sockets).say("playout", { min_ms: 0, max_ms: 800, limit_ms: 800 });
    await pass(5000);
    expect(newest(peers).targets).toEqual([640, 640]);
  });

  it("goes with the offer over WHEP, and what the server grants comes with the answer", async () => {
    const { session, peers, fetches, latency } = fakeSession(undefined, { forced: "whep" });
    const headers = { location: "/whep/session/abc", "playout-delay": "min=0, max=1250, limit=4000" };
    fetches.mockImplementation(() => Promise.resolve(new Response("v=0\r\n", { status: 201, headers })));
    latency.set("smooth");
    session.start();
    await pass();
    expect(newest(fetches.mock.calls)[0]).toBe("https://tower.example/whep/dawn?playout_max_ms=1250");
    newest(peers).become("connected");
    session.pictureShown(newest(peers).stream);
    await pass(10_000);
    expect(newest(peers).targets).toEqual([1000, 1000]);
  });

  it("no longer matters to a session that is closed", async () => {
    const { session, peers, latency } = await playing();
    await pass(1000);
    session.close();
    latency.set("smooth");
    await pass(1000);
    expect(newest(peers).targets).toEqual([50, null]);
  });
});
