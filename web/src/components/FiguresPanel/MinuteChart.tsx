import { CHART_MS, type Moment } from "../../core/figures";
import { linePoints } from "../../core/chart";
import { useStrings } from "../../hooks/useStrings";
import styles from "./MinuteChart.module.css";

const WIDTH = 240;
const HEIGHT = 56;

/** Delay and bitrate over the last minute, as two lines, each on its own scale. */
export function MinuteChart({ minute }: { readonly minute: readonly Moment[] }) {
  const { figures } = useStrings();
  const until = minute.at(-1)?.atMs ?? 0;
  const line = (value: (moment: Moment) => number | null) =>
    linePoints(minute.map((moment) => ({ x: moment.atMs - until + CHART_MS, y: value(moment) })), {
      width: WIDTH,
      height: HEIGHT,
      spanX: CHART_MS,
    });
  const [delay, bitrate] = [line((moment) => moment.delayMs), line((moment) => moment.bitrateMbit)];
  return (
    <figure className={styles["chart"]}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={figures.chart}>
        <path className={styles["bitrate"]} d={bitrate.path} vectorEffect="non-scaling-stroke" />
        <path className={styles["delay"]} d={delay.path} vectorEffect="non-scaling-stroke" />
      </svg>
      <figcaption>
        <span data-line="delay">
          {figures.delayLine}, 0–{figures.ms(delay.topY)}
        </span>
        <span data-line="bitrate">
          {figures.bitrateLine}, 0–{figures.bitrate(bitrate.topY)}
        </span>
      </figcaption>
    </figure>
  );
}
