import { StrictMode, useEffect, useRef } from "react";
import { createRoot } from "react-dom/client";
import styles from "./app.module.css";
import { Footer } from "./components/Footer/Footer";
import { Header } from "./components/Header/Header";
import type { Heliograph } from "./core/browser";
import type { Route } from "./core/route";
import { targetQuery } from "./core/target";
import { HeliographContext } from "./hooks/useHeliograph";
import { useRoute } from "./hooks/useRoute";
import { HomePage } from "./pages/HomePage/HomePage";
import { NotFoundPage } from "./pages/NotFoundPage/NotFoundPage";
import { WatchPage } from "./pages/WatchPage/WatchPage";

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
  const main = useRef<HTMLElement>(null);
  const shown = useRef(route);
  useEffect(() => {
    if (shown.current === route) return;
    shown.current = route;
    // A new page without a reload: whoever listens to the page should hear it from its beginning.
    main.current?.focus({ preventScroll: true });
  }, [route]);
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

function Page({ route }: { readonly route: Route }) {
  switch (route.page) {
    case "home":
      return <HomePage />;
    case "watch":
      return <WatchPage key={targetQuery(route.target)} target={route.target} />;
    case "not-found":
      return <NotFoundPage />;
  }
}
