import { lazy, StrictMode, Suspense, useEffect, useRef } from "react";
import { createRoot } from "react-dom/client";
import styles from "./app.module.css";
import { Footer } from "./components/Footer/Footer";
import { Header } from "./components/Header/Header";
import type { Heliograph } from "./core/browser";
import type { Route } from "./core/route";
import { targetQuery } from "./core/target";
import { HeliographContext } from "./hooks/useHeliograph";
import { useDocumentColours, useDocumentLanguage } from "./hooks/useLook";
import { useRoute } from "./hooks/useRoute";
import { useSite } from "./hooks/useSite";
import { useStrings } from "./hooks/useStrings";
import { EmbedPage } from "./pages/EmbedPage/EmbedPage";
import { HomePage } from "./pages/HomePage/HomePage";
import { NotFoundPage } from "./pages/NotFoundPage/NotFoundPage";
import { SeveralPage } from "./pages/SeveralPage/SeveralPage";
import { WatchPage } from "./pages/WatchPage/WatchPage";

// Who watches need not load it.
const StudioPage = lazy(async () => ({ default: (await import("./pages/StudioPage/StudioPage")).StudioPage }));

/** Draws the page into `place`. */
export function showPage(place: Element, heliograph: Heliograph): void {
  createRoot(place).render(
    <StrictMode>
      <HeliographContext value={heliograph}>
        <App />
      </HeliographContext>
    </StrictMode>,
  );
}

export function App() {
  const route = useRoute();
  useDocumentLanguage(useStrings());
  if (route.page === "embed") {
    return (
      <main data-page="embed">
        <EmbedPage key={targetQuery(route.target)} target={route.target} wishes={route.wishes} />
      </main>
    );
  }
  return <Site route={route} />;
}

type SiteRoute = Exclude<Route, { page: "embed" }>;

/** A page with everything around it. */
function Site({ route }: { readonly route: SiteRoute }) {
  const main = useRef<HTMLElement>(null);
  const shown = useRef(route.page);
  useDocumentColours(useSite());
  useEffect(() => {
    if (shown.current === route.page) return;
    shown.current = route.page;
    // A new page without a reload: whoever listens to the page should hear it from its beginning.
    main.current?.focus({ preventScroll: true });
  }, [route.page]);
  return (
    <>
      <Header />
      <main id="content" className={styles["main"]} ref={main} tabIndex={-1} data-page={route.page}>
        <Page route={route} />
      </main>
      <Footer />
    </>
  );
}

function Page({ route }: { readonly route: SiteRoute }) {
  switch (route.page) {
    case "home":
      return <HomePage />;
    case "watch":
      return <WatchPage key={targetQuery(route.target)} target={route.target} />;
    case "several":
      return <SeveralPage channels={route.channels} />;
    case "studio":
      return (
        <Suspense>
          <StudioPage />
        </Suspense>
      );
    case "not-found":
      return <NotFoundPage />;
  }
}
