/** The code that heliographs flashed: `.` is short, `-` is long. */
const CODE: Readonly<Record<string, string>> = {
  a: ".-", b: "-...", c: "-.-.", d: "-..", e: ".", f: "..-.", g: "--.", h: "....", i: "..", j: ".---", k: "-.-",
  l: ".-..", m: "--", n: "-.", o: "---", p: ".--.", q: "--.-", r: ".-.", s: "...", t: "-", u: "..-", v: "...-",
  w: ".--", x: "-..-", y: "-.--", z: "--..", 0: "-----", 1: ".----", 2: "..---", 3: "...--", 4: "....-", 5: ".....",
  6: "-....", 7: "--...", 8: "---..", 9: "----.",
};

/** One flash: where it begins and how long it lasts, in units of the shortest flash. */
export interface Flash {
  readonly at: number;
  readonly length: 1 | 3;
}

/**
 * The flashes of a name, for decoration. Letters beyond the Latin ones flash as the bits of their number, so that
 * every name has a picture of its own.
 */
export function flashes(name: string, longestUnits: number): Flash[] {
  const result: Flash[] = [];
  let at = 0;
  for (const letter of name.normalize("NFD").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "")) {
    const code = CODE[letter] ?? bits(letter);
    for (const mark of code) {
      const length = mark === "-" ? 3 : 1;
      if (at + length > longestUnits) return result;
      result.push({ at, length });
      at += length + 1;
    }
    at += 2;
  }
  return result;
}

/** A number from 0 up to but not including 1 that depends on the name alone. */
export function nameNumber(name: string, salt: number): number {
  let hash = 2_166_136_261 ^ salt;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16_777_619);
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_519);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

function bits(letter: string): string {
  return ((letter.codePointAt(0) ?? 0) % 32).toString(2).padStart(4, "0").replaceAll("0", ".").replaceAll("1", "-");
}
