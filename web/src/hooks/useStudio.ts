import { useState, useSyncExternalStore } from "react";
import { StudioClient, type StudioState } from "../core/studioClient";
import { STUDIO_CATALOGUES, type StudioCatalogue } from "../strings/studio";
import { useHeliograph } from "./useHeliograph";

/** The streamer's desk, followed for as long as the component is there. */
export function useStudio(): { studio: StudioClient; state: StudioState } {
  const [studio] = useState(
    () => new StudioClient({ fetch: (input, init) => window.fetch(input, init), openEvents: (url) => new EventSource(url) }),
  );
  return { studio, state: useSyncExternalStore(studio.subscribe, studio.snapshot) };
}

/** The words of the desk, in the language that was chosen. */
export function useStudioStrings(): StudioCatalogue {
  const { language } = useHeliograph().choices;
  return STUDIO_CATALOGUES[useSyncExternalStore(language.subscribe, language.snapshot)];
}
