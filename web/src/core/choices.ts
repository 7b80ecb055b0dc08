import { Choice, oneOf, SHARE, type Shelf, YES_OR_NO } from "./choice";
import { type Language, LANGUAGES, preferredLanguage } from "./language";
import { DEFAULT_LATENCY, LATENCY_MODES, type LatencyMode } from "./latency";

/** Everything that the page remembers of its viewer, all of it on their own machine. */
export interface Choices {
  readonly latency: Choice<LatencyMode>;
  readonly language: Choice<Language>;
  /** From 0 to 1. */
  readonly volume: Choice<number>;
  /** The player takes the width of the window. */
  readonly theatre: Choice<boolean>;
}

/** `wishes`: the languages that the browser asks for, best first. */
export function rememberedChoices(shelf: () => Shelf, wishes: readonly string[]): Choices {
  return {
    latency: new Choice(shelf, "heliograph.latency", oneOf(LATENCY_MODES), DEFAULT_LATENCY),
    language: new Choice(shelf, "heliograph.language", oneOf(LANGUAGES), preferredLanguage(wishes)),
    volume: new Choice(shelf, "heliograph.volume", SHARE, 1),
    theatre: new Choice(shelf, "heliograph.theatre", YES_OR_NO, false),
  };
}
