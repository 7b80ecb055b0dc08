import type { Language } from "../core/language";
import { de } from "./de";
import { type Catalogue, en } from "./en";

export type { Catalogue };

export const CATALOGUES: Readonly<Record<Language, Catalogue>> = { en, de };
