import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

/** Draws the page into `place`. */
export function showPage(place: Element): void {
  createRoot(place).render(
    <StrictMode>
      <h1>Heliograph</h1>
    </StrictMode>,
  );
}
