import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fakeSession, pass } from "../testing/fakes";
import { SessionKeeper } from "./sessionKeeper";
import type { Target } from "./target";

const DAWN: Target = { kind: "channel", name: "dawn" };
const DUSK: Target = { kind: "channel", name: "dusk" };

function fakeKeeper() {
  const made: ReturnType<typeof fakeSession>[] = [];
  const keeper = new SessionKeeper((target) => {
    const fake = fakeSession(target);
    made.push(fake);
    return fake.session;
  });
  return { keeper, made };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("SessionKeeper", () => {
  it("hands the session that began early to the page that comes later", async () => {
    const { keeper, made } = fakeKeeper();
    keeper.prestart(DAWN);
    await pass();
    keeper.hold({ ...DAWN });
    await pass();
    expect(made).toHaveLength(1);
    expect(made[0]?.sockets).toHaveLength(1);
  });

  it("does not reconnect when a page lets go and comes back within the same moment", async () => {
    const { keeper, made } = fakeKeeper();
    const release = keeper.hold(DAWN);
    await pass();
    release();
    release();
    const releaseAgain = keeper.hold(DAWN);
    await pass(100);
    expect(made[0]?.sockets).toHaveLength(1);
    expect(made[0]?.session.snapshot().state.kind).toBe("connecting");
    releaseAgain();
    await pass(100);
    expect(made[0]?.session.snapshot().state.kind).toBe("idle");
    expect(keeper.all()).toEqual([]);
  });

  it("keeps two channels apart", async () => {
    const { keeper, made } = fakeKeeper();
    const release = keeper.hold(DAWN);
    keeper.hold(DUSK);
    await pass();
    release();
    await pass();
    expect(made.map((one) => one.session.snapshot().state.kind)).toEqual(["idle", "connecting"]);
  });

  it("lets go when the page is put away and takes up again when it is back", async () => {
    const { keeper, made } = fakeKeeper();
    keeper.hold(DAWN);
    await pass();
    keeper.suspend();
    expect(made[0]?.session.snapshot().state.kind).toBe("idle");
    keeper.resume();
    await pass();
    expect(made[0]?.sockets).toHaveLength(2);
  });
});
