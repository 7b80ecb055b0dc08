import styles from "./Icon.module.css";

/** Drawn on a grid of 24, with round ends, as everything here. */
const PATHS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  sound: "M4 9.5h3.5L12 5.5v13l-4.5-4H4zM15.5 9.2a4 4 0 0 1 0 5.6M18 6.8a7.4 7.4 0 0 1 0 10.4",
  silent: "M4 9.5h3.5L12 5.5v13l-4.5-4H4zM16 9.5l5 5M21 9.5l-5 5",
  expand: "M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15",
  shrink: "M9 4.5V9H4.5M19.5 9H15V4.5M15 19.5V15h4.5M4.5 15H9v4.5",
  people: "M9 11.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM3 19c.4-3.2 2.8-5 6-5s5.600 1.800 6 5M16 5.400a3 3 0 0 1 0 5.800M17.500 14.300c2 .6 3.200 2.200 3.500 4.700",
  delay: "M12 4.5a7.500 7.500 0 1 0 0 15 7.500 7.500 0 0 0 0-15zM12 8v4.300l2.800 1.700",
  quality: "M4.500 8h8M16.500 8h3M14.500 6v4M4.500 16h3M11.500 16h8M9.500 14v4",
  back: "M14.500 5.500 8 12l6.500 6.500",
  copy: "M8.500 8.500h10v11h-10zM15.500 8.500v-4h-10v11h3",
  check: "M5 12.500l4.500 4.500L19 7.500",
  pip: "M4 5.5h16v13H4zM12.500 12h5v4h-5z",
  theatre: "M3.500 7.500h17v9h-17zM9.500 10.500 7.500 12l2 1.500M14.500 10.500l2 1.500-2 1.500",
  figures: "M4.500 4.500v15h15M8 15l3.500-4.500 3 2.500L19 7.500",
  help: "M9 9.300a3 3 0 1 1 4.300 2.700c-.9.5-1.300 1-1.300 2M12 17.500v.01",
  close: "M6.500 6.500l11 11M17.500 6.500l-11 11",
  plus: "M12 5.500v13M5.500 12h13",
  search: "M10.500 5a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM14.700 14.700 19.500 19.500",
  language: "M12 4.500a7.500 7.500 0 1 0 0 15 7.500 7.500 0 0 0 0-15zM4.800 10h14.400M4.800 14h14.400M12 4.500c-4 4-4 11 0 15M12 4.500c4 4 4 11 0 15",
  several: "M4 5.500h7v5.500H4zM13 5.500h7v5.500h-7zM4 13h7v5.500H4zM13 13h7v5.500h-7z",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside words or inside a named button; never the only carrier of a meaning. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className={styles["icon"]} viewBox="0 0 24 24" aria-hidden="true" data-filled={name === "play" || undefined}>
      <path d={PATHS[name]} />
    </svg>
  );
}
