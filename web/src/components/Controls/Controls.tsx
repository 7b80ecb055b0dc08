import type { ReactNode } from "react";
import type { VideoControls } from "../../hooks/useVideoElement";
import { strings } from "../../strings";
import { Icon, type IconName } from "../Icon/Icon";
import { LatencyMenu } from "../LatencyMenu/LatencyMenu";
import { VolumeControl } from "../VolumeControl/VolumeControl";
import styles from "./Controls.module.css";

interface Props {
  readonly video: VideoControls;
  readonly fullscreen: { readonly on: boolean; readonly possible: boolean; readonly toggle: () => void };
  /** What stands between the buttons. */
  readonly children: ReactNode;
}

/** The bar at the lower edge of the picture. */
export function Controls({ video, fullscreen, children }: Props) {
  const { controls } = strings;
  const stopped = video.paused || video.blocked;
  return (
    <div className={styles["bar"]} role="group" aria-label={controls.group}>
      <ControlButton
        icon={stopped ? "play" : "pause"}
        label={stopped ? controls.play : controls.pause}
        shortcut="K"
        onPress={video.togglePlay}
      />
      <VolumeControl
        muted={video.muted}
        volume={video.volume}
        onToggleMute={video.toggleMute}
        onVolume={video.setVolume}
      />
      <div className={styles["facts"]}>{children}</div>
      <LatencyMenu />
      {fullscreen.possible && (
        <ControlButton
          icon={fullscreen.on ? "shrink" : "expand"}
          label={fullscreen.on ? controls.leaveFullscreen : controls.fullscreen}
          shortcut="F"
          onPress={fullscreen.toggle}
        />
      )}
    </div>
  );
}

interface ButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly shortcut: string;
  readonly onPress: () => void;
}

function ControlButton({ icon, label, shortcut, onPress }: ButtonProps) {
  return (
    <button type="button" aria-label={label} title={strings.controls.withShortcut(label, shortcut)} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
