import "./styles/reset.css";
import "./styles/tokens.css";
import "./styles/base.css";
import { startHeliograph } from "./core/browser";

// First the connection, then the page around it: by the time React draws, the server has often answered.
const heliograph = startHeliograph(window);

void import("./app").then(({ showPage }) => {
  const place = document.querySelector("#root");
  if (place) showPage(place, heliograph);
});
