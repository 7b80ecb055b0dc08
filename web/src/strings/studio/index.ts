import type { Language } from "../../core/language";
import { de } from "./de";
import { en, type StudioCatalogue } from "./en";

export type { StudioCatalogue };

export const STUDIO_CATALOGUES: Readonly<Record<Language, StudioCatalogue>> = { en, de };
