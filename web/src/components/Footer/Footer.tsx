import { flashes } from "../../core/morse";
import styles from "./Footer.module.css";

const NAME = flashes("heliograph", 200);
const UNITS = Math.max(...NAME.map((flash) => flash.at + flash.length));

/** The name of the program, as a heliograph would say it. */
export function Footer() {
  return (
    <footer className={styles["footer"]}>
      <svg viewBox={`0 0 ${UNITS} 1`} aria-hidden="true">
        {NAME.map(({ at, length }) => (
          <rect key={at} x={at} width={length} height="1" rx="0.5" />
        ))}
      </svg>
    </footer>
  );
}
