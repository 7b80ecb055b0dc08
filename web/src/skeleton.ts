import appStyles from "./app.module.css";
import headerStyles from "./components/Header/Header.module.css";
import playerStyles from "./components/Player/Player.module.css";
import type { Route } from "./core/route";
import embedStyles from "./pages/EmbedPage/EmbedPage.module.css";
import watchStyles from "./pages/WatchPage/WatchPage.module.css";

/** A page that shows one picture as soon as there is one, and begins without sound as browsers demand. */
export type QuickRoute = Extract<Route, { page: "watch" | "embed" }>;

/** The route as one that can start before its page is drawn; null for all others. */
export function quickRoute(route: Route): QuickRoute | null {
  if (route.page === "watch") return route;
  return route.page === "embed" && route.wishes.autoplay && route.wishes.muted ? route : null;
}

/** Shows `video` where the page will have it. React takes everything else away when it draws. */
export function showSkeleton(place: Element, video: HTMLVideoElement, { page }: QuickRoute, theatre: boolean): void {
  const { ownerDocument: document } = place;
  const box = (name: string, className: string | undefined, ...inside: Element[]): HTMLElement => {
    const element = document.createElement(name);
    element.className = className ?? "";
    element.append(...inside);
    return element;
  };
  const player = box("section", playerStyles["player"], box("div", playerStyles["screen"], video));
  const main = box("main", page === "watch" ? appStyles["main"] : "");
  main.dataset["page"] = page;
  main.ariaBusy = "true";
  if (page === "embed") {
    main.append(box("div", embedStyles["page"], player));
    place.replaceChildren(main);
    return;
  }
  const whole = box("div", watchStyles["page"], box("div", watchStyles["stage"], player));
  whole.dataset["theatre"] = `${theatre}`;
  main.append(whole);
  place.replaceChildren(box("header", headerStyles["header"]), main);
}
