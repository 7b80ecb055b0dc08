import { type Catalogue, en } from "./en";

export type { Catalogue };

/** The language of the page. Where there is a second one, the browser's wish decides here. */
export const strings: Catalogue = en;
