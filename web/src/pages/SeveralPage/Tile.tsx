import { Icon } from "../../components/Icon/Icon";
import { Link } from "../../components/Link/Link";
import { Player } from "../../components/Player/Player";
import { StateBadge } from "../../components/StateBadge/StateBadge";
import type { StreamEntry } from "../../core/messages";
import { watchPath } from "../../core/route";
import { useStrings } from "../../hooks/useStrings";
import type { SharedSound } from "../../hooks/useVideoElement";
import { useViewerSession } from "../../hooks/useViewerSession";
import styles from "./Tile.module.css";

interface Props {
  readonly name: string;
  readonly entry: StreamEntry | null;
  readonly sound: SharedSound;
  readonly withShortcuts: boolean;
  readonly onRemove: () => void;
}

/** One of several players. */
export function Tile({ name, entry, sound, withShortcuts, onRemove }: Props) {
  const { several } = useStrings();
  const target = { kind: "channel", name } as const;
  const { session, snapshot } = useViewerSession(target);
  const title = snapshot.title ?? entry?.name ?? name;
  return (
    <article className={styles["tile"]} data-channel={name} data-heard={sound.on}>
      <Player
        name={title}
        session={session}
        snapshot={snapshot}
        sound={sound}
        withShortcuts={withShortcuts}
        withLinks={false}
      />
      <div className={styles["line"]}>
        <button
          type="button"
          aria-pressed={sound.on}
          aria-label={sound.on ? several.listening(title) : several.listen(title)}
          title={sound.on ? several.listening(title) : several.listen(title)}
          onClick={() => {
            sound.set(!sound.on);
          }}
        >
          <Icon name={sound.on ? "sound" : "silent"} />
        </button>
        <Link className={styles["title"]} href={watchPath(target)} title={several.alone(title)}>
          {title}
        </Link>
        {entry && <StateBadge state={entry.state} />}
        <button type="button" aria-label={several.remove(title)} title={several.remove(title)} onClick={onRemove}>
          <Icon name="close" />
        </button>
      </div>
    </article>
  );
}
