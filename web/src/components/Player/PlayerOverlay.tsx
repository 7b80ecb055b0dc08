import type { ReactNode } from "react";
import type { Cause, ViewerState } from "../../core/viewerState";
import { useStrings } from "../../hooks/useStrings";
import type { Catalogue } from "../../strings";
import { noPictureWords, stateWords } from "../../strings/words";
import { Button } from "../Button/Button";
import { Icon } from "../Icon/Icon";
import { Link } from "../Link/Link";
import { Countdown, stateMood, StatusOverlay } from "../StatusOverlay/StatusOverlay";

interface Props {
  readonly state: ViewerState;
  /** Why there is sound and no picture, while there is. */
  readonly noPicture: Cause | null;
  /** A last picture is there to stand behind the words. */
  readonly pictured: boolean;
  /** The viewer has stopped it. */
  readonly paused: boolean;
  readonly withLinks: boolean;
  readonly onPlay: () => void;
  readonly onRetry: () => void;
}

/** What is said over the picture, and what one can do about it. */
export function PlayerOverlay({ state, noPicture, pictured, paused, withLinks, onPlay, onRetry }: Props) {
  const strings = useStrings();
  const { status, controls } = strings;
  if (state.kind === "live" && paused) {
    return (
      <StatusOverlay mood="answered" words={status.paused} overPicture fleeting={false}>
        <Button look="bright" onClick={onPlay}>
          <Icon name="play" />
          {controls.play}
        </Button>
      </StatusOverlay>
    );
  }
  if (state.kind === "live" && noPicture) {
    return <StatusOverlay mood="clouded" words={noPictureWords(noPicture, strings)} overPicture={false} fleeting={false} />;
  }
  const words = stateWords(state, strings);
  if (!words) return null;
  return (
    <StatusOverlay
      mood={stateMood(state)}
      words={words}
      overPicture={pictured}
      fleeting={isFleeting(state)}
    >
      {stateActions(state, strings, { withLinks, onPlay, onRetry })}
    </StatusOverlay>
  );
}

/** It passes within moments more often than not. */
function isFleeting(state: ViewerState): boolean {
  return (state.kind === "connecting" && !state.after) || state.kind === "waiting" || isSoon(state);
}

/** Nobody needs a button for something that happens within the second. */
function isSoon(state: ViewerState): boolean {
  return state.kind === "retrying" && state.inMs < 1000 && state.cause.code !== "path-blocked";
}

function stateActions(
  state: ViewerState,
  { status }: Catalogue,
  { withLinks, onPlay, onRetry }: Pick<Props, "withLinks" | "onPlay" | "onRetry">,
): ReactNode {
  const others = withLinks ? <Link href="/">{status.otherChannels}</Link> : undefined;
  const retry = (
    <Button look="plain" onClick={onRetry}>
      {status.retryNow}
    </Button>
  );
  switch (state.kind) {
    case "retrying":
      if (isSoon(state)) return undefined;
      return (
        <>
          <Countdown key={state.attempt} totalMs={state.inMs} />
          {retry}
        </>
      );
    case "failed":
      return (
        <>
          {state.cause.code !== "no-webrtc" && retry}
          {others}
        </>
      );
    case "offline":
      return others;
    case "autoplay-blocked":
      return (
        <Button look="bright" onClick={onPlay}>
          <Icon name="play" />
          {status.autoplayBlocked.action}
        </Button>
      );
    case "idle":
    case "connecting":
    case "waiting":
    case "live":
    case "away":
    case "stalled":
      return undefined;
  }
}
