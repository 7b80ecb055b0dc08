import { useEffect } from "react";
import { colourTokens, type Site } from "../core/branding";
import type { Catalogue } from "../strings";

/** Tells the document what language it is in, and which way that runs. */
export function useDocumentLanguage({ locale, direction }: Catalogue): void {
  useEffect(() => {
    document.documentElement.lang = locale;
    document.documentElement.dir = direction;
  }, [locale, direction]);
}

/** Gives the document the operator's colours. */
export function useDocumentColours(site: Site): void {
  useEffect(() => {
    const { style } = document.documentElement;
    const bothSchemes = CSS.supports("color", "light-dark(#fff, #000)");
    const tokens = Object.entries(colourTokens(site, bothSchemes));
    for (const [name, value] of tokens) style.setProperty(name, value);
    return () => {
      for (const [name] of tokens) style.removeProperty(name);
    };
  }, [site]);
}
