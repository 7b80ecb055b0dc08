import "./styles/reset.css";
import "./styles/tokens.css";
import "./styles/base.css";
import { startHeliograph } from "./core/browser";
import { readyToDraw } from "./core/readyToDraw";
import { parseRoute } from "./core/route";
import { quickRoute, showSkeleton } from "./skeleton";

/** Whoever has no picture by then wants to read why. */
const DRAW_AFTER_MS = 500;

// First the connection and the picture, then the page around it.
const heliograph = startHeliograph(window);

const parsed = new Promise<void>((resolve) => {
  const done = (): void => {
    resolve();
  };
  if (document.readyState !== "loading") done();
  else document.addEventListener("DOMContentLoaded", done);
});

void parsed.then(async () => {
  const place = document.querySelector("#root");
  if (!place) return;
  const route = quickRoute(parseRoute(window.location.pathname, window.location.search));
  if (route) {
    const { keeper, videos, choices } = heliograph;
    const session = keeper.session(route.target);
    showSkeleton(place, videos.prepare(session), route, choices.theatre.snapshot());
    await readyToDraw(session, DRAW_AFTER_MS);
  }
  const { showPage } = await import("./app");
  showPage(place, heliograph);
});
