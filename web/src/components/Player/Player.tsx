import { type ReactNode, useRef } from "react";
import type { ViewerState } from "../../core/viewerState";
import type { ViewerSession, ViewerSnapshot } from "../../core/viewerSession";
import { useFullscreen } from "../../hooks/useFullscreen";
import { usePointerRest } from "../../hooks/usePointerRest";
import { useShortcuts } from "../../hooks/useShortcuts";
import { useVideoElement, type VideoControls } from "../../hooks/useVideoElement";
import { strings } from "../../strings";
import { stateWords } from "../../strings/words";
import { Button } from "../Button/Button";
import { Controls } from "../Controls/Controls";
import { Icon } from "../Icon/Icon";
import { Link } from "../Link/Link";
import { StateBadge } from "../StateBadge/StateBadge";
import { Countdown, stateMood, StatusOverlay } from "../StatusOverlay/StatusOverlay";
import { UnmuteButton } from "../UnmuteButton/UnmuteButton";
import { ViewerCount } from "../ViewerCount/ViewerCount";
import styles from "./Player.module.css";

interface Props {
  readonly name: string;
  readonly session: ViewerSession;
  readonly snapshot: ViewerSnapshot;
}

/** The picture, what is said over it, and the controls. */
export function Player({ name, session, snapshot }: Props) {
  const { state, stream, viewers } = snapshot;
  const frame = useRef<HTMLElement>(null);
  const element = useRef<HTMLVideoElement>(null);
  const video = useVideoElement(element, stream, session.pictureShown);
  const fullscreen = useFullscreen(frame, element);
  const resting = usePointerRest(frame);
  useShortcuts({ " ": video.togglePlay, k: video.togglePlay, m: video.toggleMute, f: fullscreen.toggle });

  const live = state.kind === "live";
  const usable = live || state.kind === "away" || state.kind === "stalled";
  return (
    <section
      ref={frame}
      className={styles["player"]}
      aria-label={strings.watch.player(name)}
      data-state={state.kind}
      data-muted={video.muted}
      data-transport={snapshot.transport}
      data-resting={live && resting && !video.paused && !video.blocked}
    >
      <video ref={element} className={styles["video"]} muted playsInline />
      <Overlay state={state} video={video} onRetry={session.nudge} />
      {usable && (
        <div className={styles["controls"]}>
          <Controls video={video} fullscreen={fullscreen}>
            {/* Elsewhere both stand below the picture. */}
            {fullscreen.on && viewers !== null && <ViewerCount count={viewers} />}
            {fullscreen.on && live && <StateBadge state="live" />}
          </Controls>
        </div>
      )}
      {live && video.soundUnasked && video.muted && !video.paused && !video.blocked && (
        <div className={styles["unmute"]}>
          <UnmuteButton onUnmute={video.toggleMute} />
        </div>
      )}
    </section>
  );
}

interface OverlayProps {
  readonly state: ViewerState;
  readonly video: VideoControls;
  readonly onRetry: () => void;
}

function Overlay({ state, video, onRetry }: OverlayProps) {
  const { status } = strings;
  const words = stateWords(state, strings);
  if (words) {
    return (
      <StatusOverlay
        mood={stateMood(state)}
        words={words}
        overPicture={video.pictured}
        fleeting={state.kind === "connecting" || state.kind === "waiting" || isSoon(state)}
      >
        {stateActions(state, onRetry)}
      </StatusOverlay>
    );
  }
  if (state.kind === "live" && (video.blocked || video.paused)) {
    const why = video.blocked ? status.autoplayBlocked : status.paused;
    return (
      <StatusOverlay mood="answered" words={why} overPicture fleeting={false}>
        <Button look="bright" onClick={video.togglePlay}>
          <Icon name="play" />
          {video.blocked ? status.autoplayBlocked.action : strings.controls.play}
        </Button>
      </StatusOverlay>
    );
  }
  return null;
}

/** Nobody needs a button for something that happens within the second. */
function isSoon(state: ViewerState): boolean {
  return state.kind === "retrying" && state.inMs < 1000;
}

function stateActions(state: ViewerState, onRetry: () => void): ReactNode {
  const { status } = strings;
  switch (state.kind) {
    case "retrying":
      if (isSoon(state)) return undefined;
      return (
        <>
          <Countdown key={state.attempt} totalMs={state.inMs} />
          <Button look="plain" onClick={onRetry}>
            {status.retryNow}
          </Button>
        </>
      );
    case "failed":
      return (
        <>
          {state.cause.code !== "no-webrtc" && (
            <Button look="plain" onClick={onRetry}>
              {status.retryNow}
            </Button>
          )}
          <Link href="/">{status.otherChannels}</Link>
        </>
      );
    case "offline":
      return <Link href="/">{status.otherChannels}</Link>;
    case "idle":
    case "connecting":
    case "waiting":
    case "live":
    case "away":
    case "stalled":
      return undefined;
  }
}
