import { expect, it } from "vitest";
import { parseRoute } from "./core/route";
import { quickRoute, showSkeleton } from "./skeleton";

it.each([
  ["/c/dawn", "", "watch"],
  ["/", "?port=24001", "watch"],
  ["/embed/dawn", "?autoplay=1&muted=1", "embed"],
  ["/embed/dawn", "?autoplay=1&muted=0", null],
  ["/embed/dawn", "?autoplay=0&muted=1", null],
  ["/watch", "?c=dawn&c=dusk", null],
  ["/", "", null],
  ["/studio", "", null],
])("%s%s starts before it is drawn: %s", (path, query, page) => {
  const route = quickRoute(parseRoute(path, query));
  expect(route?.page ?? null).toBe(page);
  if (!route) return;
  const place = document.createElement("div");
  const video = document.createElement("video");
  showSkeleton(place, video, route, true);
  expect(place.querySelector(`main[data-page="${route.page}"] section video`)).toBe(video);
});
