import type { StreamEntry } from "../../core/messages";
import { byAudience } from "../../core/streamsClient";
import { useNow } from "../../hooks/useNow";
import { ChannelCard } from "./ChannelCard";
import styles from "./ChannelGrid.module.css";

/** All channels that are on the air, the most watched first. */
export function ChannelGrid({ streams }: { readonly streams: readonly StreamEntry[] }) {
  const nowMs = useNow(30_000);
  return (
    <ul className={styles["grid"]}>
      {byAudience(streams).map((stream) => (
        <li key={stream.port}>
          <ChannelCard stream={stream} nowMs={nowMs} />
        </li>
      ))}
    </ul>
  );
}
