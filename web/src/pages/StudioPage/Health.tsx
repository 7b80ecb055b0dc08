import { useEffect, useRef, useState } from "react";
import { codecName } from "../../core/codecName";
import { linePoints } from "../../core/chart";
import { DeskHistory, type DeskMoment, HISTORY_MS, historyPoints } from "../../core/deskHistory";
import type { Desk } from "../../core/studioMessages";
import { useStrings } from "../../hooks/useStrings";
import { useStudioStrings } from "../../hooks/useStudio";
import { SoundMeter } from "./SoundMeter";
import styles from "./Health.module.css";

/** How the stream arrives, in figures and over the last minutes. */
export function Health({ desk }: { readonly desk: Desk }) {
  const words = useStudioStrings().health;
  const { figures } = useStrings();
  const moments = useDeskHistory(desk);
  const now = moments.at(-1);
  const { video, audio, uplink } = desk;
  const say = <T,>(value: T | null | undefined, how: (value: T) => string): string =>
    value === null || value === undefined ? figures.unknown : how(value);
  const rows: readonly (readonly [string, string])[] = [
    [words.rows.bitrate, say(now?.bitrateMbit, words.mbit)],
    [words.rows.picture, video?.width && video.height ? figures.picture(video.width, video.height, video.fps) : figures.unknown],
    [words.rows.codec, video ? codecName(video.codec) : figures.unknown],
    [words.rows.keyframes, say(video?.keyframe_interval_ms, (ms) => words.seconds(ms / 1000))],
    [words.rows.loss, `${say(now?.lossPercent, words.percent)} (${words.packets((video?.lost ?? 0) + (audio?.lost ?? 0))})`],
    [words.rows.again, say(uplink?.requested_again, words.packets)],
    [words.rows.roundTrip, say(uplink?.round_trip_ms, words.ms)],
    [words.rows.jitter, say(uplink?.jitter_ms, words.tenths)],
    [words.rows.drift, say(video?.drift_ppm, words.ppm)],
    [words.rows.sound, audio ? `${codecName(audio.codec)}, ${words.kbit(audio.bitrate_bps / 1000)}` : figures.unknown],
    [words.rows.viewers, words.count(desk.viewers)],
    [words.rows.delay, say(desk.delay, ({ p50_ms, p95_ms }) => words.delay(p50_ms, p95_ms))],
    [words.rows.encoder, say(uplink?.encoder, (name) => (name === "" ? figures.unknown : name))],
    [words.rows.door, say(uplink?.door, (door) => door.toUpperCase())],
  ];
  const charts: readonly (readonly [string, (moment: DeskMoment) => number | null, (value: number) => string])[] = [
    [words.charts.bitrate, (moment) => moment.bitrateMbit, words.mbit],
    [words.charts.fps, (moment) => moment.fps, words.fps],
    [words.charts.loss, (moment) => moment.lossPercent, words.percent],
    [words.charts.roundTrip, (moment) => moment.roundTripMs, words.ms],
    [words.charts.delay, (moment) => moment.delayMs, words.ms],
    [words.charts.viewers, (moment) => moment.viewers, words.count],
  ];
  return (
    <section className={styles["health"]} aria-labelledby="health">
      <h2 id="health">{words.heading}</h2>
      {desk.state === "offline" ? (
        <p className={styles["nothing"]}>{words.nothing}</p>
      ) : (
        <>
          <SoundMeter desk={desk} />
          <dl className={styles["rows"]}>
            {rows.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          {desk.delay && <p className={styles["note"]}>{words.delayNote(desk.delay.viewers, desk.viewers)}</p>}
          <div className={styles["charts"]}>
            {charts.map(([name, value, how]) => (
              <HistoryChart key={name} name={name} moments={moments} value={value} how={how} />
            ))}
          </div>
        </>
      )}
    </section>
  );
}

interface ChartProps {
  readonly name: string;
  readonly moments: readonly DeskMoment[];
  readonly value: (moment: DeskMoment) => number | null;
  readonly how: (value: number) => string;
}

const SIZE = { width: 240, height: 48, spanX: HISTORY_MS };

function HistoryChart({ name, moments, value, how }: ChartProps) {
  const { charts } = useStudioStrings().health;
  const newest = moments.at(-1);
  const now = newest === undefined ? null : value(newest);
  // A quantity that is not measured at this door needs no empty chart.
  if (moments.every((moment) => value(moment) === null)) return null;
  const { path, topY } = linePoints(historyPoints(moments, value), SIZE);
  return (
    <figure className={styles["chart"]}>
      <figcaption>
        <span>{name}</span>
        <span className={styles["now"]}>{now === null ? "" : how(now)}</span>
      </figcaption>
      <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} preserveAspectRatio="none" role="img" aria-label={`${name}, ${charts.over}, 0–${how(topY)}`}>
        <path d={path} vectorEffect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}

/** The last minutes, one moment for each look at the desk. */
function useDeskHistory(desk: Desk): readonly DeskMoment[] {
  const history = useRef<DeskHistory>(null);
  const [moments, setMoments] = useState<readonly DeskMoment[]>([]);
  useEffect(() => {
    history.current ??= new DeskHistory();
    setMoments(history.current.push(desk, performance.now()));
  }, [desk]);
  return moments;
}
