import { type ReactNode, useRef, useState } from "react";
import type { ViewerSession } from "../../core/viewerSession";
import { isPictureMissing, type ViewerSnapshot } from "../../core/viewerSnapshot";
import { useDoubleTap } from "../../hooks/useDoubleTap";
import { type Toggle, useFullscreen } from "../../hooks/useFullscreen";
import { useHeliograph } from "../../hooks/useHeliograph";
import { useMediaSession } from "../../hooks/useMediaSession";
import { usePictureInPicture } from "../../hooks/usePictureInPicture";
import { usePlayerReport, type PlayerReport } from "../../hooks/usePlayerReport";
import { usePointerRest } from "../../hooks/usePointerRest";
import { useScreen } from "../../hooks/useScreen";
import { useShortcuts } from "../../hooks/useShortcuts";
import { useSite } from "../../hooks/useSite";
import { useStrings } from "../../hooks/useStrings";
import { type SharedSound, useVideoElement } from "../../hooks/useVideoElement";
import { useWakeLock } from "../../hooks/useWakeLock";
import { BrandLogo } from "../BrandLogo/BrandLogo";
import { Controls } from "../Controls/Controls";
import { FiguresPanel } from "../FiguresPanel/FiguresPanel";
import { HelpSheet } from "../HelpSheet/HelpSheet";
import { StateBadge } from "../StateBadge/StateBadge";
import { UnmuteButton } from "../UnmuteButton/UnmuteButton";
import { ViewerCount } from "../ViewerCount/ViewerCount";
import { PlayerOverlay } from "./PlayerOverlay";
import styles from "./Player.module.css";

interface Props {
  readonly name: string;
  readonly session: ViewerSession;
  readonly snapshot: ViewerSnapshot;
  /** Null where the page has no more room to give. */
  readonly theatre?: Toggle | null;
  /** Where several players share one pair of ears. */
  readonly sound?: SharedSound | null;
  readonly startMuted?: boolean;
  /** Buttons over the picture; without them the picture stands alone. */
  readonly withControls?: boolean;
  readonly withLogo?: boolean;
  /** Keys anywhere on the page are meant for this player. */
  readonly withShortcuts?: boolean;
  /** Links that leave the player; off inside a page of another site. */
  readonly withLinks?: boolean;
  /** Told what whoever embeds the player wants to know. */
  readonly onReport?: (report: PlayerReport) => void;
  /** Stands beside the buttons. */
  readonly extra?: ReactNode;
}

const VOLUME_STEP = 0.1;

/** The picture, what is said over it, and the controls. */
export function Player({
  name,
  session,
  snapshot,
  theatre = null,
  sound = null,
  startMuted = true,
  withControls = true,
  withLogo = true,
  withShortcuts = true,
  withLinks = true,
  onReport,
  extra,
}: Props) {
  const strings = useStrings();
  const site = useSite();
  const { choices } = useHeliograph();
  const { state, stream, viewers, notice } = snapshot;
  const frame = useRef<HTMLElement>(null);
  const screen = useRef<HTMLDivElement>(null);
  const element = useScreen(screen, session.target);
  const video = useVideoElement(element, {
    stream,
    volume: choices.volume,
    startMuted,
    sound,
    onPicture: session.pictureShown,
    onLook: session.pictureOnScreen,
    onBlocked: session.playBlocked,
  });
  const fullscreen = useFullscreen(frame, element);
  const pictureInPicture = usePictureInPicture(element);
  const resting = usePointerRest(frame);
  const [helpOpen, setHelpOpen] = useState(false);
  const [figuresOpen, setFiguresOpen] = useState(false);

  const live = state.kind === "live";
  const blocked = state.kind === "autoplay-blocked";
  const usable = live || blocked || state.kind === "away" || state.kind === "stalled";
  const figures: Toggle = {
    on: figuresOpen,
    possible: true,
    toggle: () => {
      setFiguresOpen(!figuresOpen);
    },
  };
  const help = (): void => {
    setHelpOpen(!helpOpen);
  };
  const close = (): void => {
    setFiguresOpen(false);
  };
  useShortcuts(
    withShortcuts && !helpOpen
      ? {
          " ": video.togglePlay,
          k: video.togglePlay,
          m: video.toggleMute,
          arrowup: () => {
            video.setVolume((video.muted ? 0 : video.volume) + VOLUME_STEP);
          },
          arrowdown: () => {
            video.setVolume((video.muted ? 0 : video.volume) - VOLUME_STEP);
          },
          f: fullscreen.toggle,
          p: pictureInPicture.toggle,
          ...(theatre && { t: theatre.toggle }),
          i: figures.toggle,
          "?": help,
          ...(figuresOpen && { escape: close }),
        }
      : {},
  );
  useDoubleTap(element, fullscreen.toggle);
  const playing = live && !video.paused;
  useWakeLock(playing);
  useMediaSession(
    usable && (!sound || sound.on)
      ? { title: name, site: site.title ?? strings.name, paused: video.paused, togglePlay: video.togglePlay }
      : null,
  );
  usePlayerReport(onReport, { state, viewers, muted: video.muted, volume: video.volume, paused: video.paused }, video);

  return (
    <section
      ref={frame}
      className={styles["player"]}
      aria-label={strings.watch.player(name)}
      data-state={state.kind}
      data-muted={video.muted}
      data-paused={video.paused}
      data-transport={snapshot.transport}
      data-resting={playing && resting}
      data-figures={figuresOpen}
    >
      <div ref={screen} className={styles["screen"]} />
      {withLogo && site.logo && usable && <BrandLogo logo={site.logo} site={site.title ?? strings.name} />}
      <PlayerOverlay
        state={state}
        noPicture={notice && isPictureMissing(snapshot) ? notice : null}
        pictured={video.pictured}
        paused={video.paused}
        withLinks={withLinks}
        onPlay={video.togglePlay}
        onRetry={session.nudge}
      />
      {usable && withControls && (
        <div className={styles["controls"]}>
          <Controls
            video={video}
            blocked={blocked}
            fullscreen={fullscreen}
            pictureInPicture={pictureInPicture}
            theatre={theatre}
            figures={figures}
            layers={snapshot.layers}
            layer={snapshot.layer}
            onLayer={session.pickLayer}
            onHelp={help}
          >
            {/* Elsewhere both stand below the picture. */}
            {fullscreen.on && viewers !== null && <ViewerCount count={viewers} />}
            {fullscreen.on && live && <StateBadge state="live" />}
            {extra}
          </Controls>
        </div>
      )}
      {live && withControls && !sound && video.soundUnasked && video.muted && !video.paused && (
        <div className={styles["unmute"]}>
          <UnmuteButton onUnmute={video.toggleMute} />
        </div>
      )}
      {figuresOpen && <FiguresPanel session={session} onClose={close} />}
      {helpOpen && <HelpSheet onClose={help} />}
    </section>
  );
}
