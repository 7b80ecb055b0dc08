import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import type { Heliograph } from "./core/browser";

/** Draws the page into `place`. */
export function showPage(place: Element, _heliograph: Heliograph): void {
  createRoot(place).render(
    <StrictMode>
      <h1>Heliograph</h1>
    </StrictMode>,
  );
}
