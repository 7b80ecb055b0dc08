import { createContext, useContext } from "react";
import type { Heliograph } from "../core/browser";

export const HeliographContext = createContext<Heliograph | null>(null);

/** The long-lived parts of the page: sessions and the list of streams. */
export function useHeliograph(): Heliograph {
  const heliograph = useContext(HeliographContext);
  if (!heliograph) throw new Error("the page must be drawn inside HeliographContext");
  return heliograph;
}
