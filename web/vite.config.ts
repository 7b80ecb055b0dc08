import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** The server that the development page talks to. */
const server = process.env["HELIOGRAPH_URL"] ?? "http://localhost:8080";

/**
 * The entry script is tiny on purpose: it opens the connection to the server before React is even parsed.
 * This lets the browser fetch the rest of the page at the same time instead of after it, but not compile it yet.
 */
function preloadPage(): Plugin {
  return {
    name: "heliograph-preload-page",
    transformIndexHtml: {
      order: "post",
      handler(_html, { bundle }) {
        return Object.values(bundle ?? {}).flatMap((part) =>
          // The streamer's desk is for few, and loaded when it is asked for.
          part.type === "chunk" && !part.isEntry && part.name !== "StudioPage"
            ? [
                {
                  tag: "link",
                  attrs: { rel: "preload", as: "script", crossorigin: true, href: `/${part.fileName}` },
                  injectTo: "head" as const,
                },
              ]
            : [],
        );
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), preloadPage()],
  build: {
    target: "es2022",
    // The tokens use light-dark(), which must reach the browser as it is: parts of the page are always lit dark.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // One style sheet, linked from the page itself: no flash of bare text while scripts load.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 2048,
  },
  server: {
    proxy: {
      "/websocket": { target: server, ws: true },
      "/whep": server,
      "/streams": server,
      "/events": server,
      "/preview": server,
      "/studio/api": server,
      "/config.json": server,
    },
  },
  test: {
    include: ["src/**/*.test.{ts,tsx}"],
    environment: "happy-dom",
    restoreMocks: true,
  },
});
