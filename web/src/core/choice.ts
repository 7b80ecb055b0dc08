import { Observable } from "./observable";

/** The part of `window.localStorage` that matters here. */
export type Shelf = Pick<Storage, "getItem" | "setItem">;

/** How a value is written on the shelf, and read again; null for what is none. */
export interface Spelling<T> {
  readonly write: (value: T) => string;
  readonly read: (text: string) => T | null;
}

/** Something this viewer has chosen, remembered where the browser lets us; everybody who subscribes follows it. */
export class Choice<T> {
  readonly #shelf: () => Shelf;
  readonly #key: string;
  readonly #spelling: Spelling<T>;
  readonly #value: Observable<T>;

  /** `shelf` may throw: some browsers keep even the name of the storage from pages. */
  constructor(shelf: () => Shelf, key: string, spelling: Spelling<T>, unchosen: T) {
    this.#shelf = shelf;
    this.#key = key;
    this.#spelling = spelling;
    this.#value = new Observable(this.#remembered() ?? unchosen);
  }

  readonly snapshot = (): T => this.#value.snapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#value.subscribe(listener);

  readonly choose = (value: T): void => {
    this.#value.set(value);
    try {
      this.#shelf().setItem(this.#key, this.#spelling.write(value));
    } catch {
      // Full, or forbidden: then it holds for this page.
    }
  };

  /** Holds for this page alone: an address may ask for something that the viewer has not chosen. */
  readonly lend = (value: T): void => {
    this.#value.set(value);
  };

  #remembered(): T | null {
    try {
      const text = this.#shelf().getItem(this.#key);
      return text === null ? null : this.#spelling.read(text);
    } catch {
      return null;
    }
  }
}

/** One word of a list. */
export function oneOf<T extends string>(words: readonly T[]): Spelling<T> {
  return { write: (word) => word, read: (text) => words.find((word) => word === text) ?? null };
}

export const YES_OR_NO: Spelling<boolean> = {
  write: (value) => (value ? "yes" : "no"),
  read: (text) => (text === "yes" ? true : text === "no" ? false : null),
};

/** A number from 0 to 1. */
export const SHARE: Spelling<number> = {
  write: (value) => value.toFixed(2),
  read: (text) => {
    const value = Number.parseFloat(text);
    return value >= 0 && value <= 1 ? value : null;
  },
};
