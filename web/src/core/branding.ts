import type { Branding, BrandLogo } from "./messages";

/** What the operator has made of the page; what is missing is as usual. */
export type Site = Branding;

export const PLAIN_SITE: Site = {};

/** Reads `branding` of `config.json`, which an operator may have written by hand: what makes no sense is left out. */
export function siteFrom(config: unknown): Site {
  if (typeof config !== "object" || config === null) return PLAIN_SITE;
  const given = config as Readonly<Record<string, unknown>>;
  const site: Site = {};
  if (typeof given["title"] === "string" && given["title"] !== "") site.title = given["title"];
  const logo = logoFrom(given["logo"]);
  if (logo) site.logo = logo;
  for (const key of ["colour", "groundLight", "groundDark"] as const) {
    const colour = given[key];
    if (typeof colour === "string" && /^#[0-9a-f]{6}$/i.test(colour)) site[key] = colour;
  }
  return site;
}

function logoFrom(given: unknown): BrandLogo | null {
  if (typeof given !== "object" || given === null) return null;
  const { url, link, position } = given as Readonly<Record<string, unknown>>;
  if (typeof url !== "string" || !isAddress(url)) return null;
  const corner = CORNERS.find((one) => one === position) ?? "top-end";
  return typeof link === "string" && isAddress(link) ? { url, link, position: corner } : { url, position: corner };
}

const CORNERS = ["top-start", "top-end", "bottom-start", "bottom-end"] as const;

/** Nothing that runs when it is clicked. */
function isAddress(text: string): boolean {
  return /^https?:\/\//.test(text) || /^\/(?!\/)/.test(text);
}

/**
 * The tokens (`styles/tokens.css`) that change with the operator's colours, by their names. `bothSchemes`: the browser knows
 * `light-dark()`; without it the page is dark.
 */
export function colourTokens(site: Site, bothSchemes = true): Record<string, string> {
  const tokens: Record<string, string> = {};
  const either = (light: string, dark: string): string => (bothSchemes ? `light-dark(${light}, ${dark})` : dark);
  if (site.colour !== undefined) {
    tokens["--sun"] = site.colour;
    tokens["--sun-bright"] = `color-mix(in oklab, ${site.colour}, white 25%)`;
    tokens["--sun-ink"] = inkOn(site.colour);
    // Text in that colour has to be read on a light and on a dark ground.
    tokens["--accent"] = either(readable(site.colour, "black"), readable(site.colour, "white"));
  }
  const light = legibleGround(site.groundLight, INK_SOFT.light);
  const dark = legibleGround(site.groundDark, INK_SOFT.dark);
  if (light !== null || dark !== null) tokens["--ground"] = either(light ?? "#f4efe4", dark ?? "#0e141c");
  return tokens;
}

/** What can be read on `colour`: nearly black or white, whichever has the higher contrast (WCAG 2.2). */
export function inkOn(colour: string): string {
  return (luminance(colour) + 0.05) / (DARK_LUMINANCE + 0.05) >= 1.05 / (luminance(colour) + 0.05) ? "#161209" : "#ffffff";
}

/** Of `styles/tokens.css`: the text that stands out least. */
const INK_SOFT = { light: "#55606b", dark: "#a3afbb" };

/** A ground on which the page's text can be read; null for another one, which is left out. */
function legibleGround(ground: string | undefined, ink: string): string | null {
  if (ground === undefined) return null;
  const [less = 0, more = 0] = [luminance(ground), luminance(ink)].sort((a, b) => a - b);
  return (more + 0.05) / (less + 0.05) >= LEAST_CONTRAST ? ground : null;
}

const LEAST_CONTRAST = 4.5;
const DARK_LUMINANCE = 0.006;
/** Of large parts of the page in either scheme. */
const LIGHT_GROUND = 0.86;
const DARK_GROUND = 0.008;
const WANTED_CONTRAST = 4.6;

/** `colour`, mixed with black or white in steps until it can be read on the ground of that scheme. */
function readable(colour: string, towards: "black" | "white"): string {
  for (let percent = 0; percent < 100; percent += 5) {
    const light = luminance(mixed(colour, towards, percent / 100));
    const contrast = towards === "black" ? (LIGHT_GROUND + 0.05) / (light + 0.05) : (light + 0.05) / (DARK_GROUND + 0.05);
    if (contrast >= WANTED_CONTRAST) return mixed(colour, towards, percent / 100);
  }
  return towards;
}

function mixed(colour: string, towards: "black" | "white", share: number): string {
  const goal = towards === "black" ? 0 : 255;
  const parts = channels(colour).map((part) => Math.round(part + (goal - part) * share));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

function channels(colour: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** Relative luminance (WCAG 2.2), from 0 to 1. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = channels(colour).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
