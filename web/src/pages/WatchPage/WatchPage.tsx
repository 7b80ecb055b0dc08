import { ChannelGrid } from "../../components/ChannelCard/ChannelGrid";
import { Icon } from "../../components/Icon/Icon";
import { Link } from "../../components/Link/Link";
import { Player } from "../../components/Player/Player";
import { StateBadge } from "../../components/StateBadge/StateBadge";
import { ViewerCount } from "../../components/ViewerCount/ViewerCount";
import type { ChannelState, StreamEntry } from "../../core/messages";
import { severalPath } from "../../core/route";
import { findStream } from "../../core/streamsClient";
import type { Target } from "../../core/target";
import { isPictureMissing } from "../../core/viewerSnapshot";
import type { ViewerState } from "../../core/viewerState";
import { useChoice } from "../../hooks/useChoice";
import { useHeliograph } from "../../hooks/useHeliograph";
import { useNow } from "../../hooks/useNow";
import { usePageTitle } from "../../hooks/usePageTitle";
import { useStreams } from "../../hooks/useStreams";
import { useStrings } from "../../hooks/useStrings";
import { useViewerSession } from "../../hooks/useViewerSession";
import { noticeWords, sinceWords } from "../../strings/words";
import styles from "./WatchPage.module.css";

/** One channel. Key it by the target. */
export function WatchPage({ target }: { readonly target: Target }) {
  const strings = useStrings();
  const [theatre, setTheatre] = useChoice(useHeliograph().choices.theatre);
  const { session, snapshot } = useViewerSession(target);
  const { state, notice, viewers } = snapshot;
  // The first picture comes first; what else is on the air can wait for it.
  const list = useStreams(state.kind !== "idle" && state.kind !== "connecting");
  const streams = list.kind === "ready" ? list.streams : [];
  const entry = findStream(streams, target);

  const name = target.kind === "channel" ? target.name : (entry?.channel ?? strings.card.port(target.port));
  const title = snapshot.title ?? entry?.name ?? name;
  usePageTitle(title);
  const badge = badgeState(state);
  const others = state.kind === "offline" || state.kind === "failed" ? streams.filter((one) => one !== entry) : [];
  const moreIsOn = target.kind === "channel" && streams.some((one) => one.channel !== null && one !== entry);
  return (
    <div className={styles["page"]} data-theatre={theatre}>
      <div className={styles["stage"]}>
        <Player
          name={title}
          session={session}
          snapshot={snapshot}
          theatre={{
            on: theatre,
            possible: true,
            toggle: () => {
              setTheatre(!theatre);
            },
          }}
        />
      </div>
      <div className={styles["about"]}>
        <div className={styles["names"]}>
          <h1>{title}</h1>
          <Facts name={title === name ? null : name} entry={entry} />
        </div>
        <div className={styles["audience"]}>
          {viewers !== null && <ViewerCount count={viewers} />}
          {badge !== null && <StateBadge state={badge} />}
          {moreIsOn && others.length === 0 && (
            <Link
              className={styles["several"]}
              href={severalPath([target.name])}
              aria-label={strings.watch.addAnother}
              title={strings.watch.addAnother}
            >
              <Icon name="several" />
            </Link>
          )}
        </div>
      </div>
      {notice && !isPictureMissing(snapshot) && (
        <p className={styles["notice"]} role="status">
          {noticeWords(notice, strings)}
        </p>
      )}
      {others.length > 0 && (
        <section className={styles["others"]} aria-labelledby="others">
          <h2 id="others">{strings.watch.alsoLive}</h2>
          <ChannelGrid streams={others} />
        </section>
      )}
    </div>
  );
}

interface FactsProps {
  readonly name: string | null;
  readonly entry: StreamEntry | null;
}

function Facts({ name, entry }: FactsProps) {
  const strings = useStrings();
  const nowMs = useNow(30_000);
  const video = entry?.tracks.find((track) => track.kind === "video");
  const facts = [
    name,
    entry && sinceWords(entry.since_ms, nowMs, strings),
    video?.width && video.height ? strings.card.resolution(video.width, video.height) : null,
    video?.fps ? strings.card.framesPerSecond(video.fps) : null,
  ].filter((fact) => fact !== null);
  return (
    <p className={styles["facts"]}>
      {facts.map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
    </p>
  );
}

/** What can be said of the channel, as opposed to our way to it. */
function badgeState(state: ViewerState): ChannelState | null {
  switch (state.kind) {
    case "live":
    case "stalled":
    case "autoplay-blocked":
      return "live";
    case "away":
    case "offline":
      return state.kind;
    case "idle":
    case "connecting":
    case "waiting":
    case "retrying":
    case "failed":
      return null;
  }
}
