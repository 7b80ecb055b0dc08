import { flashes, nameNumber } from "../../core/morse";
import styles from "./CardArt.module.css";

const HOURS = ["dawn", "noon", "dusk", "ember", "night"] as const;
const WIDTH_UNITS = 62;

/** A landscape for a channel that depends on its name alone, with the name in flashes on the sky. */
export function CardArt({ name }: { readonly name: string }) {
  const hour = HOURS[Math.floor(nameNumber(name, 1) * HOURS.length)];
  const sunX = 60 + nameNumber(name, 2) * 200;
  const sunY = 58 + nameNumber(name, 3) * 56;
  const shift = -Math.round(nameNumber(name, 4) * 200);
  return (
    <svg className={styles["art"]} data-hour={hour} viewBox="0 0 320 180" preserveAspectRatio="xMidYMax slice" aria-hidden="true">
      <rect className={styles["sky"]} width="320" height="180" />
      <circle className={styles["glow"]} cx={sunX} cy={sunY} r="52" />
      <circle className={styles["sun"]} cx={sunX} cy={sunY} r="21" />
      <path
        className={styles["far"]}
        transform={`translate(${shift * 0.6} 0)`}
        d="M-10 138 46 112l52 20 70-40 44 26 60-28 52 32 64-36 58 30 44-20v90H-10z"
      />
      <path
        className={styles["near"]}
        transform={`translate(${shift} 0)`}
        d="M-10 164l60-16 48-26 34 18 66 14 58-30 40-20 46 30 74 18 52-24 54 24v40H-10z"
      />
      <g className={styles["flashes"]} transform="translate(16 16) scale(4.600)">
        {flashes(name, WIDTH_UNITS).map(({ at, length }) => (
          <rect key={at} x={at} width={length} height="1" rx="0.5" />
        ))}
      </g>
    </svg>
  );
}
