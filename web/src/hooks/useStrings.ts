import { useSyncExternalStore } from "react";
import { CATALOGUES, type Catalogue } from "../strings";
import { useHeliograph } from "./useHeliograph";

/** Every word of the page, in the language that the viewer has chosen. */
export function useStrings(): Catalogue {
  const { language } = useHeliograph().choices;
  return CATALOGUES[useSyncExternalStore(language.subscribe, language.snapshot)];
}
