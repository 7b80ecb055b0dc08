import { describe, expect, it, vi } from "vitest";
import { Choice, oneOf, SHARE, type Shelf, YES_OR_NO } from "./choice";
import { preferredLanguage } from "./language";

function shelfWith(text: string | null): Shelf & { readonly written: string[] } {
  const written: string[] = [];
  return { written, getItem: () => text, setItem: (_key, value) => written.push(value) };
}

describe("Choice", () => {
  it.each([
    ["b", "b"],
    ["c", "a"],
    [null, "a"],
  ])("remembers %o as %o", (text, wanted) => {
    expect(new Choice(() => shelfWith(text), "key", oneOf(["a", "b"]), "a").snapshot()).toBe(wanted);
  });

  it("tells everybody and writes it down", () => {
    const shelf = shelfWith(null);
    const choice = new Choice(() => shelf, "key", SHARE, 1);
    const listener = vi.fn();
    choice.subscribe(listener);
    choice.choose(0.25);
    expect(choice.snapshot()).toBe(0.25);
    expect(listener).toHaveBeenCalledOnce();
    expect(shelf.written).toEqual(["0.25"]);
    choice.lend(0.5);
    expect(choice.snapshot()).toBe(0.5);
    expect(shelf.written).toEqual(["0.25"]);
  });

  it("holds for the page where nothing can be kept", () => {
    const choice = new Choice(
      () => {
        throw new DOMException("no storage", "SecurityError");
      },
      "key",
      YES_OR_NO,
      false,
    );
    choice.choose(true);
    expect(choice.snapshot()).toBe(true);
  });
});

it.each([
  [SHARE, "0.50", 0.5],
  [SHARE, "1.5", null],
  [SHARE, "loud", null],
  [YES_OR_NO, "yes", true],
  [YES_OR_NO, "no", false],
  [YES_OR_NO, "", null],
])("a spelling reads what it wrote and nothing else (%#)", (spelling, text, wanted) => {
  expect(spelling.read(text)).toBe(wanted);
});

it.each([
  [["de-CH", "en"], "de"],
  [["fr", "de"], "de"],
  [["fr", "EN-gb", "de"], "en"],
  [["fr"], "en"],
  [[], "en"],
])("for a browser that asks for %o the page speaks %s", (wishes, wanted) => {
  expect(preferredLanguage(wishes)).toBe(wanted);
});
