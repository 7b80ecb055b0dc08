import type { ReactNode } from "react";
import type { Toggle } from "../../hooks/useFullscreen";
import { useStrings } from "../../hooks/useStrings";
import type { VideoControls } from "../../hooks/useVideoElement";
import type { Layer } from "../../core/messages";
import { Icon, type IconName } from "../Icon/Icon";
import { LatencyMenu } from "../LatencyMenu/LatencyMenu";
import { LayerMenu } from "../LayerMenu/LayerMenu";
import { VolumeControl } from "../VolumeControl/VolumeControl";
import styles from "./Controls.module.css";

interface Props {
  readonly video: VideoControls;
  /** The browser waits for a click. */
  readonly blocked: boolean;
  readonly fullscreen: Toggle;
  readonly pictureInPicture: Toggle;
  /** Null where the page has no room to give. */
  readonly theatre: Toggle | null;
  readonly figures: Toggle;
  /** Of the picture, best first; none where there is nothing to choose. */
  readonly layers: readonly Layer[];
  readonly layer: string | null;
  readonly onLayer: (rid: string | null) => void;
  readonly onHelp: () => void;
  /** What stands between the buttons. */
  readonly children: ReactNode;
}

/** The bar at the lower edge of the picture. */
export function Controls({
  video,
  blocked,
  fullscreen,
  pictureInPicture,
  theatre,
  figures,
  layers,
  layer,
  onLayer,
  onHelp,
  children,
}: Props) {
  const { controls } = useStrings();
  const stopped = video.paused || blocked;
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
      <ControlButton icon="help" label={controls.help} shortcut="?" wideOnly onPress={onHelp} />
      <ControlButton
        icon="figures"
        label={figures.on ? controls.hideFigures : controls.figures}
        shortcut="I"
        pressed={figures.on}
        onPress={figures.toggle}
      />
      {layers.length > 1 && <LayerMenu layers={layers} picked={layer} onPick={onLayer} />}
      <LatencyMenu />
      {pictureInPicture.possible && (
        <ControlButton
          icon="pip"
          label={pictureInPicture.on ? controls.leavePictureInPicture : controls.pictureInPicture}
          shortcut="P"
          onPress={pictureInPicture.toggle}
        />
      )}
      {theatre?.possible && !fullscreen.on && (
        <ControlButton
          icon="theatre"
          label={theatre.on ? controls.leaveTheatre : controls.theatre}
          shortcut="T"
          wideOnly
          onPress={theatre.toggle}
        />
      )}
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
  readonly pressed?: boolean;
  /** Left out where the picture is small. */
  readonly wideOnly?: boolean;
  readonly onPress: () => void;
}

function ControlButton({ icon, label, shortcut, pressed, wideOnly, onPress }: ButtonProps) {
  const { controls } = useStrings();
  return (
    <button
      type="button"
      aria-label={label}
      aria-pressed={pressed}
      title={controls.withShortcut(label, shortcut)}
      data-wide-only={wideOnly}
      onClick={onPress}
    >
      <Icon name={icon} />
    </button>
  );
}
