import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { fakeSession, newest, OFFER, pass } from "../testing/fakes";
import { readyToDraw } from "./readyToDraw";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function waiting() {
  const { session, sockets, peers } = fakeSession();
  session.start();
  await pass();
  const told = vi.fn();
  void readyToDraw(session, 300).then(told);
  newest(sockets).accept();
  await pass();
  expect(told).not.toHaveBeenCalled();
  return { session, socket: newest(sockets), peers, told };
}

it("waits for the first picture", async () => {
  const { session, socket, peers, told } = await waiting();
  socket.say("offer", OFFER);
  await pass();
  const peer = newest(peers);
  peer.become("connected");
  await pass();
  expect(session.snapshot().state.kind).toBe("waiting");
  expect(told).not.toHaveBeenCalled();
  session.pictureShown(peer.stream);
  await pass();
  expect(told).toHaveBeenCalledTimes(1);
});

it("does not wait when there is something else to show", async () => {
  const { socket, told } = await waiting();
  socket.say("state", { state: "offline" });
  await pass();
  expect(told).toHaveBeenCalledTimes(1);
});

it("does not wait for long", async () => {
  const { told } = await waiting();
  await pass(299);
  expect(told).not.toHaveBeenCalled();
  await pass(1);
  expect(told).toHaveBeenCalledTimes(1);
});

it("does not wait at all for a session that is further", async () => {
  const { session } = fakeSession(undefined, { hasWebRtc: false });
  session.start();
  const told = vi.fn();
  void readyToDraw(session, 300).then(told);
  await pass();
  expect(told).toHaveBeenCalledTimes(1);
});
