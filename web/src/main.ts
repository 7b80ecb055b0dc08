import "./styles/reset.css";
import "./styles/tokens.css";
import "./styles/base.css";
import { startHeliograph } from "./core/browser";

// First the connection, then the page around it: by the time React draws, the server has often answered.
const heliograph = startHeliograph(window);

const parsed = new Promise<unknown>((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve);
  else resolve(null);
});

void Promise.all([import("./app"), parsed]).then(([{ showPage }]) => {
  const place = document.querySelector("#root");
  if (place) showPage(place, heliograph);
});
