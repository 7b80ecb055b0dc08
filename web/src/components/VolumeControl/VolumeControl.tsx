import { Icon } from "../Icon/Icon";
import { useStrings } from "../../hooks/useStrings";
import styles from "./VolumeControl.module.css";

interface Props {
  readonly muted: boolean;
  /** From 0 to 1. */
  readonly volume: number;
  readonly onToggleMute: () => void;
  readonly onVolume: (volume: number) => void;
}

/** Sound on and off, and how loud. */
export function VolumeControl({ muted, volume, onToggleMute, onVolume }: Props) {
  const strings = useStrings();
  const { controls } = strings;
  const label = muted ? controls.unmute : controls.mute;
  return (
    <div className={styles["volume"]}>
      <button type="button" aria-label={label} title={controls.withShortcut(label, "M")} onClick={onToggleMute}>
        <Icon name={muted ? "silent" : "sound"} />
      </button>
      <input
        type="range"
        min="0"
        max="1"
        step="0.05"
        aria-label={controls.volume}
        value={muted ? 0 : volume}
        onChange={(event) => {
          onVolume(event.target.valueAsNumber);
        }}
      />
    </div>
  );
}
