import type { StreamEntry } from "../../core/messages";
import { watchPath } from "../../core/route";
import { streamTarget } from "../../core/streamsClient";
import { sinceWords } from "../../strings/words";
import { Link } from "../Link/Link";
import { StateBadge } from "../StateBadge/StateBadge";
import { ViewerCount } from "../ViewerCount/ViewerCount";
import { CardPicture } from "./CardPicture";
import { useStrings } from "../../hooks/useStrings";
import styles from "./ChannelCard.module.css";

interface Props {
  readonly stream: StreamEntry;
  readonly nowMs: number;
}

/** One channel that is on the air. */
export function ChannelCard({ stream, nowMs }: Props) {
  const strings = useStrings();
  const name = stream.channel ?? strings.card.port(stream.port);
  const facts = [...(stream.name === null ? [] : [name]), sinceWords(stream.since_ms, nowMs, strings)];
  return (
    <article className={styles["card"]} data-channel={name}>
      <div className={styles["art"]}>
        <CardPicture name={name} stream={stream} />
        <span className={styles["badge"]}>
          <StateBadge state={stream.state} />
        </span>
      </div>
      <div className={styles["words"]}>
        <h2 className={styles["title"]}>
          <Link href={watchPath(streamTarget(stream))}>{stream.name ?? name}</Link>
        </h2>
        <p className={styles["facts"]}>
          {facts.map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </p>
        <p className={styles["facts"]}>
          <ViewerCount count={stream.viewers} />
          <PictureFacts stream={stream} />
        </p>
      </div>
    </article>
  );
}

/** Size and rate of the picture, as far as they are known. */
function PictureFacts({ stream }: { readonly stream: StreamEntry }) {
  const strings = useStrings();
  const video = stream.tracks.find((track) => track.kind === "video");
  if (!video?.width || !video.height) return null;
  return (
    <>
      <span>{strings.card.resolution(video.width, video.height)}</span>
      {video.fps !== null && <span>{strings.card.framesPerSecond(video.fps)}</span>}
    </>
  );
}
