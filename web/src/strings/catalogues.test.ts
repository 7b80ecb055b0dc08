import { describe, expect, it } from "vitest";
import { CATALOGUES } from ".";
import { LANGUAGES } from "../core/language";
import { STUDIO_CATALOGUES } from "./studio";

/** Every entry of a catalogue by its path. */
function entries(value: unknown, path = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => entries(inner, path === "" ? key : `${path}.${key}`));
}

/** What an entry shows of what is put into it: words of letters that no sentence has, numbers that none has. */
function placeholders(entry: unknown, parameters: number): string[] {
  if (typeof entry !== "function") return [];
  const shown = new Set<string>();
  // An entry takes words, numbers or both; whichever it cannot use, it says so or shows nothing of.
  for (const fill of [(at: number) => `xqz${at}`, (at: number) => 41 + at]) {
    const given = Array.from({ length: parameters }, (_, at) => fill(at));
    let text = "";
    try {
      text = String((entry as (...values: unknown[]) => unknown)(...given));
    } catch {
      continue;
    }
    for (const [at, value] of given.entries()) if (text.includes(String(value))) shown.add(`${at}: ${typeof value}`);
  }
  return [...shown].sort();
}

const ALL = LANGUAGES.filter((language) => language !== "en").flatMap((language) => [
  { of: "the page", language, original: CATALOGUES.en, translation: CATALOGUES[language] },
  { of: "the studio", language, original: STUDIO_CATALOGUES.en, translation: STUDIO_CATALOGUES[language] },
]);

describe.each(ALL)("the words of $of in $language", ({ original, translation }) => {
  const english = new Map(entries(original));
  const translated = new Map(entries(translation));

  it("says everything that English says, and nothing else", () => {
    expect([...translated.keys()].sort()).toEqual([...english.keys()].sort());
  });

  it("puts the same things into its sentences", () => {
    for (const [path, entry] of english) {
      const other = translated.get(path);
      expect(typeof other, path).toBe(typeof entry);
      const parameters = typeof entry === "function" ? entry.length : 0;
      expect(placeholders(other, parameters), path).toEqual(placeholders(entry, parameters));
    }
  });

  it("is translated", () => {
    const same = [...english].filter(([path, entry]) => typeof entry === "string" && translated.get(path) === entry);
    // Names, signs, and words that both languages share.
    const shared = /^(name|direction|empty\.serverLabel|badge\.live|help\.escape|figures\.unknown|figures\.rows\.(bitrate|codec)|figures\.bitrateLine|health\.(rows|charts)\.bitrate|health\.rows\.codec)$/;
    expect(same.map(([path]) => path).filter((path) => !shared.test(path))).toEqual([]);
  });

  it("ends its sentences as English does", () => {
    for (const [path, entry] of english) {
      const other = translated.get(path);
      if (typeof entry === "string" && entry.endsWith(".")) expect(other, path).toMatch(/\.$/);
    }
  });
});
