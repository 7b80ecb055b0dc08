import type { ReactNode } from "react";
import type { ViewerState } from "../../core/viewerState";
import { useCountdown } from "../../hooks/useCountdown";
import type { Words } from "../../strings/words";
import { type Mood, Scene } from "../Scene/Scene";
import { useStrings } from "../../hooks/useStrings";
import styles from "./StatusOverlay.module.css";

interface Props {
  readonly mood: Mood;
  readonly words: Words;
  /** There is a last picture behind us worth seeing. */
  readonly overPicture: boolean;
  /** This passes within moments more often than not: do not flash at those for whom it does. */
  readonly fleeting: boolean;
  /** What one can do. */
  readonly children?: ReactNode;
}

/** What is happening, in a picture and a sentence, over the place of the video. */
export function StatusOverlay({ mood, words, overPicture, fleeting, children }: Props) {
  return (
    <div className={styles["overlay"]} data-over-picture={overPicture} data-fleeting={fleeting}>
      {!overPicture && (
        <div className={styles["scene"]}>
          <Scene mood={mood} />
        </div>
      )}
      <div className={styles["words"]}>
        <div role="status">
          <p className={styles["title"]}>{words.title}</p>
          <p className={styles["text"]}>{words.text}</p>
        </div>
        {children !== undefined && <div className={styles["actions"]}>{children}</div>}
      </div>
    </div>
  );
}

/** Counts down to the next attempt. Not read aloud: a voice that counts helps nobody. */
export function Countdown({ totalMs }: { readonly totalMs: number }) {
  const strings = useStrings();
  const seconds = useCountdown(totalMs);
  return (
    <span className={styles["countdown"]} aria-hidden="true">
      {strings.status.retryIn(seconds)}
    </span>
  );
}

/** The picture that goes with a state. */
export function stateMood(state: ViewerState): Mood {
  switch (state.kind) {
    case "idle":
      return "seeking";
    case "connecting":
      return state.after ? "broken" : "seeking";
    case "retrying":
      return state.cause.code === "path-blocked" ? "broken" : "seeking";
    case "waiting":
    case "live":
    case "autoplay-blocked":
      return "answered";
    case "away":
    case "stalled":
      return "clouded";
    case "offline":
      return "night";
    case "failed":
      return "broken";
  }
}
