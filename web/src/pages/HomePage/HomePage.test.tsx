import { cleanup, fireEvent, screen, within } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { renderPage, streamEntry } from "../../testing/render";
import { HomePage } from "./HomePage";

afterEach(() => {
  cleanup();
  window.history.replaceState(null, "", "/");
});

describe("HomePage", () => {
  it("lists channels, the most watched first", async () => {
    renderPage(<HomePage />, [
      streamEntry({ channel: "small", name: null, port: 1, viewers: 1 }),
      streamEntry({ channel: "large", name: "First light", port: 2, viewers: 1200 }),
      streamEntry({ channel: null, name: null, port: 24003, viewers: 0, state: "waiting", tracks: [] }),
    ]);
    const cards = await screen.findAllByRole("article");
    expect(cards.map((card) => card.dataset["channel"])).toEqual(["large", "small", "Port 24003"]);
    const [large, , port] = cards;
    if (!large || !port) throw new Error("cards are missing");
    expect(within(large).getByRole("link", { name: "First light" }).getAttribute("href")).toBe("/c/large");
    expect(large.textContent).toContain("1,200 watching");
    expect(large.textContent).toContain("1280 × 720");
    expect(large.textContent).toContain("30 fps");
    expect(large.textContent).toContain("for 10 minutes");
    expect(within(port).getByRole("link").getAttribute("href")).toBe("/?port=24003");
    expect(port.textContent).toContain("Starting");
    expect(screen.getByRole("status").textContent).toBe("3 channels are signalling right now.");
  });

  it("goes to a channel without loading the page anew, and leaves other clicks to the browser", async () => {
    renderPage(<HomePage />, [streamEntry()]);
    const link = await screen.findByRole("link", { name: "First light" });
    expect(fireEvent.click(link)).toBe(false);
    expect(window.location.pathname).toBe("/c/dawn");
    expect(fireEvent.click(link, { ctrlKey: true })).toBe(true);
  });

  it("tells a streamer what to do when nobody is on the air", async () => {
    renderPage(<HomePage />, []);
    await screen.findByRole("heading", { name: "Nobody is on the air" });
    expect(screen.getByText("heliograph key new CHANNEL")).toBeDefined();
    expect(screen.getByText(`ftl://${window.location.hostname}`)).toBeDefined();
    fireEvent.click(screen.getByRole("button", { name: "Copy: Server" }));
    expect(await screen.findByText(/^(Copied|Select it and copy by hand)$/)).toBeDefined();
  });

  it("says that the server does not answer", async () => {
    renderPage(<HomePage />, null);
    expect(await screen.findByRole("heading", { name: "The server does not answer" })).toBeDefined();
  });
});
