import { act, cleanup, fireEvent, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Target } from "../../core/target";
import { newest, OFFER } from "../../testing/fakes";
import { renderPage, streamEntry } from "../../testing/render";
import { WatchPage } from "./WatchPage";

const DAWN: Target = { kind: "channel", name: "dawn" };

const startPlaying = vi.fn<() => Promise<void>>();

beforeEach(() => {
  vi.useFakeTimers();
  startPlaying.mockImplementation(() => Promise.resolve());
  vi.spyOn(HTMLMediaElement.prototype, "play").mockImplementation(startPlaying);
});
afterEach(() => {
  cleanup();
  window.localStorage.clear();
  vi.useRealTimers();
});

const settle = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms));

async function open(strict = false) {
  const page = <WatchPage target={DAWN} />;
  const { sessions, page: drawn, choices: { latency } } = renderPage(strict ? <StrictMode>{page}</StrictMode> : page, [
    streamEntry(),
    streamEntry({ channel: "dusk", name: "Last light", port: 24002 }),
  ]);
  await settle();
  const fake = newest(sessions);
  const say = async (event: string, data: unknown) => {
    act(() => {
      newest(fake.sockets).say(event, data);
    });
    await settle();
  };
  act(() => {
    newest(fake.sockets).accept();
  });
  return { ...fake, sessions, say, drawn, latency };
}

async function play() {
  const all = await open();
  await all.say("state", { state: "live", name: "First light" });
  await all.say("info", { no_connections: 7 });
  await all.say("offer", OFFER);
  act(() => {
    newest(all.peers).become("connected");
    all.session.pictureShown(newest(all.peers).stream);
  });
  await settle();
  return all;
}

const player = () => screen.getByRole("region", { name: /^Player/ });
const video = () => {
  const element = player().querySelector("video");
  if (!element) throw new Error("no video");
  return element;
};

describe("WatchPage", () => {
  it("tells each step until the picture is there", async () => {
    const { say, peers, session } = await open();
    expect(player().dataset["state"]).toBe("connecting");
    expect(screen.getByText("The station answers")).toBeDefined();
    await say("offer", OFFER);
    expect(screen.getByText("Finding the way")).toBeDefined();
    act(() => {
      newest(peers).become("connected");
    });
    expect(player().dataset["state"]).toBe("waiting");
    expect(screen.getByText("The first picture is on its way.")).toBeDefined();
    act(() => {
      session.pictureShown(newest(peers).stream);
    });
    expect(player().dataset["state"]).toBe("live");
    expect(screen.queryByText("Connected")).toBeNull();
  });

  it("shows title, viewers and facts, and plays without sound at first", async () => {
    await play();
    expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("First light");
    expect(document.title).toBe("First light · Heliograph");
    expect(screen.getByText("7 watching")).toBeDefined();
    expect(screen.getByText("1280 × 720")).toBeDefined();
    expect(video().muted).toBe(true);
  });

  it("gives the sound at one click, and asks only once", async () => {
    await play();
    const [prompt] = screen.getAllByRole("button", { name: "Turn sound on" });
    if (!prompt) throw new Error("no button");
    fireEvent.click(prompt);
    expect(video().muted).toBe(false);
    expect(player().dataset["muted"]).toBe("false");
    fireEvent.keyDown(document.body, { key: "m" });
    expect(video().muted).toBe(true);
    // The one in the bar is left.
    expect(screen.getAllByRole("button", { name: "Turn sound on" })).toHaveLength(1);
  });

  it("pauses and goes on with k and space, but lets space press a button", async () => {
    await play();
    const pause = vi.spyOn(video(), "pause").mockImplementation(() => undefined);
    Object.defineProperty(video(), "paused", { value: false, writable: true });
    fireEvent.keyDown(document.body, { key: "k" });
    expect(pause).toHaveBeenCalledTimes(1);
    expect(screen.getByText("Paused")).toBeDefined();
    Object.assign(video(), { paused: true });
    fireEvent.keyDown(document.body, { key: " " });
    expect(screen.queryByText("Paused")).toBeNull();
    fireEvent.keyDown(screen.getByRole("button", { name: "Pause" }), { key: " " });
    fireEvent.keyDown(document.body, { key: "k", ctrlKey: true });
    expect(pause).toHaveBeenCalledTimes(1);
  });

  it("changes the volume", async () => {
    await play();
    fireEvent.change(screen.getByRole("slider", { name: "Volume" }), { target: { value: "0.25" } });
    expect(video().volume).toBe(0.25);
    expect(video().muted).toBe(false);
    fireEvent.change(screen.getByRole("slider", { name: "Volume" }), { target: { value: "0" } });
    expect(video().muted).toBe(true);
    fireEvent.keyDown(document.body, { key: "m" });
    expect(video().volume).toBe(0.5);
  });

  it("lets people choose the delay, with the mouse", async () => {
    const { latency, peers } = await play();
    const button = screen.getByRole("button", { name: "Delay" });
    fireEvent.click(button);
    expect(button.getAttribute("aria-expanded")).toBe("true");
    expect(screen.getByRole("menuitemradio", { checked: true }).textContent).toContain("Balanced");
    fireEvent.click(screen.getByRole("menuitemradio", { name: /Smooth/ }));
    expect(latency.snapshot()).toBe("smooth");
    await settle(4000);
    expect(newest(peers).targets).toEqual([400, 400]);
    expect(window.localStorage.getItem("heliograph.latency")).toBe("smooth");
    expect(screen.queryByRole("menu")).toBeNull();
    expect(document.activeElement).toBe(button);
    fireEvent.click(button);
    fireEvent.pointerDown(document.body);
    expect(screen.queryByRole("menu")).toBeNull();
  });

  it("lets people choose the delay, with the keyboard", async () => {
    const { latency } = await play();
    const button = screen.getByRole("button", { name: "Delay" });
    const at = () => document.activeElement?.textContent;
    fireEvent.keyDown(button, { key: "ArrowDown" });
    expect(at()).toMatch(/^Balanced/);
    const press = (key: string) => fireEvent.keyDown(document.activeElement ?? document.body, { key });
    for (const [key, name] of [
      ["ArrowDown", /^Smooth/],
      ["ArrowDown", /^Lowest/],
      ["ArrowUp", /^Smooth/],
      ["Home", /^Lowest/],
      ["End", /^Smooth/],
    ] as const) {
      press(key);
      expect(at()).toMatch(name);
    }
    press("Escape");
    expect(screen.queryByRole("menu")).toBeNull();
    expect(document.activeElement).toBe(button);
    expect(latency.snapshot()).toBe("balanced");
  });

  it("asks for a click where the browser starts nothing by itself", async () => {
    startPlaying.mockImplementation(() => Promise.reject(new DOMException("no", "NotAllowedError")));
    await play();
    startPlaying.mockImplementation(() => Promise.resolve());
    fireEvent.click(screen.getByRole("button", { name: "Start watching" }));
    await settle();
    expect(screen.queryByText("Ready when you are")).toBeNull();
  });

  it("says that the streamer is away, over the last picture", async () => {
    const { say } = await play();
    await say("state", { state: "away" });
    expect(player().dataset["state"]).toBe("away");
    expect(screen.getByText("The streamer’s line has gone quiet")).toBeDefined();
    expect(screen.getByText("Away")).toBeDefined();
  });

  it("shows what else is on when a broadcast has ended", async () => {
    const { say } = await play();
    await say("state", { state: "offline" });
    expect(screen.getByText("The broadcast has ended")).toBeDefined();
    expect(screen.getByRole("link", { name: "Last light" }).getAttribute("href")).toBe("/c/dusk");
    expect(screen.queryByRole("link", { name: "First light" })).toBeNull();
  });

  it("counts down to the next attempt and lets people be quicker", async () => {
    const { sockets } = await play();
    for (const waitMs of [250, 500]) {
      act(() => {
        newest(sockets).drop();
      });
      await settle(waitMs);
    }
    act(() => {
      newest(sockets).drop();
    });
    expect(player().dataset["state"]).toBe("retrying");
    expect(screen.getByText("Trying again in 1 s")).toBeDefined();
    fireEvent.click(screen.getByRole("button", { name: "Try again now" }));
    await settle();
    expect(player().dataset["state"]).toBe("connecting");
    expect(screen.getByText(/Attempt 4\./)).toBeDefined();
  });

  it("draws its landscape only where there is no picture to keep", async () => {
    const pictures: (() => void)[] = [];
    Object.assign(HTMLVideoElement.prototype, { requestVideoFrameCallback: (seen: () => void) => pictures.push(seen) });
    const landscape = () => player().querySelector("[data-mood]");
    const { sockets, say } = await play();
    for (const seen of pictures) act(seen);
    act(() => {
      newest(sockets).drop();
    });
    expect(player().dataset["state"]).toBe("retrying");
    expect(landscape()).toBeNull();
    await settle(250);
    act(() => {
      newest(sockets).accept();
    });
    await say("offer", OFFER);
    expect(player().dataset["state"]).toBe("connecting");
    expect(landscape()).toBeNull();
    await say("state", { state: "offline" });
    expect(landscape()).not.toBeNull();
    await say("offer", OFFER);
    expect(landscape()).not.toBeNull();
    Reflect.deleteProperty(HTMLVideoElement.prototype, "requestVideoFrameCallback");
  });

  it("tells of a missing codec beside a picture or a sound that goes on", async () => {
    const { say } = await play();
    await say("error", { code: "codec-not-supported", message: "no Opus" });
    expect(screen.getByText(/cannot play all of this stream/)).toBeDefined();
    expect(player().dataset["state"]).toBe("live");
  });

  it("connects once, also where React draws everything twice, and leaves with the page", async () => {
    const { sessions, sockets, drawn } = await open(true);
    expect(sessions).toHaveLength(1);
    expect(sockets).toHaveLength(1);
    drawn.unmount();
    await settle(10);
    expect(newest(sockets).readyState).toBe(3);
  });
});
