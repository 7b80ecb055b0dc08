import { loudness, METER_FLOOR_DB, meterShare } from "../../core/soundLevel";
import type { Desk } from "../../core/studioMessages";
import { useStudioStrings } from "../../hooks/useStudio";
import styles from "./SoundMeter.module.css";

/** How loud the broadcast is, as a meter and in words. */
export function SoundMeter({ desk }: { readonly desk: Desk }) {
  const { sound: words } = useStudioStrings().health;
  const { sound } = desk;
  // A picture alone has no meter.
  if (!desk.audio) return null;
  const kind = sound ? loudness(sound) : null;
  const said =
    sound && kind
      ? kind === "silent"
        ? words.silent(sound.silent_for_s)
        : words.level(sound.peak_dbfs, words.kinds[kind])
      : desk.muted
        ? words.muted
        : words.unknown;
  const peak = sound?.peak_dbfs ?? METER_FLOOR_DB;
  return (
    <div className={styles["sound"]} data-loudness={kind ?? "unknown"}>
      <span id="sound-level" className={styles["name"]}>
        {words.name}
      </span>
      <div
        className={styles["meter"]}
        role="meter"
        aria-labelledby="sound-level"
        aria-valuemin={METER_FLOOR_DB}
        aria-valuemax={0}
        aria-valuenow={Math.max(METER_FLOOR_DB, peak)}
        aria-valuetext={said}
      >
        <div className={styles["mean"]} style={{ inlineSize: percent(sound?.rms_dbfs) }} />
        <div className={styles["peak"]} style={{ insetInlineStart: percent(sound?.peak_dbfs) }} hidden={!sound} />
      </div>
      <span className={styles["said"]}>{said}</span>
    </div>
  );
}

function percent(dbfs: number | undefined): string {
  return `${(dbfs === undefined ? 0 : meterShare(dbfs)) * 100}%`;
}
