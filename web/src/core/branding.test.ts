import { describe, expect, it } from "vitest";
import { colourTokens, inkOn, PLAIN_SITE, siteFrom } from "./branding";

describe("siteFrom", () => {
  it("takes what makes sense", () => {
    const given = {
      title: "Station One",
      colour: "#3366CC",
      groundDark: "#000000",
      logo: { url: "/logo.svg", link: "https://example.org/", position: "bottom-start" },
    };
    expect(siteFrom(given)).toEqual(given);
  });

  it.each([
    [null],
    ["text"],
    [{ title: "", colour: "red", groundLight: "#12345", logo: "x" }],
    [{ logo: { url: "javascript:alert(1)", link: "https://example.org/" } }],
    [{ logo: { url: "//elsewhere.example/x" } }],
  ])("leaves out what does not: %j", (given) => {
    expect(siteFrom(given)).toEqual(PLAIN_SITE);
  });

  it("keeps a logo whose link would run something, without the link", () => {
    expect(siteFrom({ logo: { url: "/l.svg", link: "javascript:alert(1)", position: "middle" } })).toEqual({
      logo: { url: "/l.svg", position: "top-end" },
    });
  });
});

it.each([
  ["#f6b93b", "#161209"],
  ["#ffffff", "#161209"],
  ["#000000", "#ffffff"],
  ["#1a3b8c", "#ffffff"],
])("on %s one writes in %s", (colour, ink) => {
  expect(inkOn(colour)).toBe(ink);
});

describe("colourTokens", () => {
  it("changes nothing for an operator without wishes", () => {
    expect(colourTokens(PLAIN_SITE)).toEqual({});
  });

  it("makes the colour readable in both schemes", () => {
    const { "--accent": accent, "--sun": sun } = colourTokens({ colour: "#ffff00" });
    expect(sun).toBe("#ffff00");
    // Yellow has to become dark on a light ground, and is fine on a dark one.
    expect(accent).toMatch(/^light-dark\(#[0-7][0-9a-f][0-7][0-9a-f]00, #ffff00\)$/);
    expect(colourTokens({ colour: "#000080" })["--accent"]).toMatch(/^light-dark\(#000080, #[6-9a-f]/);
  });

  it("leaves out a ground on which nobody could read", () => {
    expect(colourTokens({ groundLight: "#202020", groundDark: "#eeeeee" })).toEqual({});
    expect(colourTokens({ groundLight: "#ffffff", groundDark: "#eeeeee" })).toEqual({ "--ground": "light-dark(#ffffff, #0e141c)" });
  });

  it("is dark where a browser cannot choose by scheme", () => {
    expect(colourTokens({ colour: "#000080", groundLight: "#ffffff" }, false)).toMatchObject({ "--ground": "#0e141c", "--accent": expect.stringMatching(/^#/) as string });
  });

  it("keeps the ground that was not given", () => {
    expect(colourTokens({ groundDark: "#000000" })).toEqual({ "--ground": "light-dark(#f4efe4, #000000)" });
  });
});
