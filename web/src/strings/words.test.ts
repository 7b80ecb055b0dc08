import { describe, expect, it, vi } from "vitest";
import type { CauseCode, ViewerState } from "../core/viewerState";
import { en } from "./en";
import { noPictureWords, noticeWords, sinceWords, stateWords } from "./words";

const CAUSES = Object.keys(en.causes) as CauseCode[];
const SILENT: ViewerState[] = [{ kind: "idle" }, { kind: "live" }];
const TALKING: ViewerState[] = [
  { kind: "connecting", step: "reaching", attempt: 1 },
  { kind: "connecting", step: "negotiating", attempt: 1 },
  { kind: "connecting", step: "joining", attempt: 1 },
  { kind: "connecting", step: "joining", attempt: 2, after: { code: "path-blocked" } },
  { kind: "waiting" },
  { kind: "offline", ended: false },
  { kind: "offline", ended: true },
  { kind: "away" },
  { kind: "stalled", sinceMs: 0, reason: "network" },
  { kind: "stalled", sinceMs: 0, reason: "loss" },
  { kind: "stalled", sinceMs: 0, reason: "device" },
  { kind: "autoplay-blocked" },
  ...CAUSES.map((code): ViewerState => ({ kind: "retrying", inMs: 1, attempt: 2, cause: { code } })),
  ...CAUSES.map((code): ViewerState => ({ kind: "failed", cause: { code } })),
];

describe("stateWords", () => {
  it("has nothing to say over a picture that plays", () => {
    for (const state of SILENT) expect(stateWords(state, en)).toBeNull();
  });

  it("says in a whole sentence what happens, whatever happens", () => {
    for (const state of TALKING) {
      const words = stateWords(state, en);
      expect(words?.title).not.toBe("");
      expect(words?.text).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("counts attempts from the second one on", () => {
    expect(stateWords({ kind: "connecting", step: "reaching", attempt: 3 }, en)?.text).toContain("Attempt 3.");
    expect(stateWords({ kind: "connecting", step: "reaching", attempt: 1 }, en)?.text).not.toContain("Attempt");
  });

  it("names the addresses that an administrator has to let through", () => {
    const cause = { code: "path-blocked", addresses: ["203.0.113.5:20000", "[2001:db8::1]:20000"] } as const;
    const text = stateWords({ kind: "failed", cause }, en)?.text;
    expect(text).toContain("outgoing UDP to 203.0.113.5:20000, [2001:db8::1]:20000.");
  });

  it("passes on what the server says when we know no better", () => {
    const cause = { code: "other", detail: "the mirror is dusty" } as const;
    expect(stateWords({ kind: "failed", cause }, en)?.text).toContain("The server says: the mirror is dusty.");
  });
});

it("noticeWords prefers our own words to the server's", () => {
  expect(noticeWords({ code: "codec", detail: "no H.264" }, en)).toBe(en.notices.codec);
  expect(noticeWords({ code: "other", detail: "no seats left!" }, en)).toBe("The server says: no seats left!");
  expect(noticeWords({ code: "full" }, en)).toBe(en.causes.full.title);
});

it.each([
  [0, "just started"],
  [-5, "just started"],
  [1, "for 1 minute"],
  [59, "for 59 minutes"],
  [60, "for 1 h"],
  [135, "for 2 h 15 min"],
  [47 * 60, "for 47 h"],
  [50 * 60, "for 2 days"],
])("sinceWords after %i minutes", (minutes, words) => {
  expect(sinceWords(1_000, 1_000 + minutes * 60_000, en)).toBe(words);
});

describe("a format that the browser lacks", () => {
  const lacks = (kind: "video" | "audio", codec: string) => ({ code: "codec" as const, missing: [{ kind, codec }] });

  it("is named, where it is known", () => {
    expect(noPictureWords(lacks("video", "av1"), en).text).toContain("AV1");
    expect(noPictureWords({ code: "codec" }, en).text).not.toContain("null");
    expect(noticeWords(lacks("audio", "opus"), en)).toContain("Opus");
    expect(noticeWords({ code: "codec" }, en)).toBe(en.notices.codec);
  });

  it("comes later by itself in Firefox, if it is H.264", () => {
    const agent = vi.spyOn(navigator, "userAgent", "get").mockReturnValue("Gecko/20100101 Firefox/153.0");
    expect(noPictureWords(lacks("video", "h264"), en).text).toContain("OpenH264");
    expect(stateWords({ kind: "failed", cause: lacks("video", "h264") }, en)?.text).toContain("OpenH264");
    expect(noPictureWords(lacks("video", "h265"), en).text).toContain("H.265");
    agent.mockRestore();
    expect(noPictureWords(lacks("video", "h264"), en).text).toContain("H.264, a format");
  });
});
