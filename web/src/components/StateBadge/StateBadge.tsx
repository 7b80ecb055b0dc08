import type { ChannelState } from "../../core/messages";
import { useStrings } from "../../hooks/useStrings";
import styles from "./StateBadge.module.css";

/** Whether a channel is on the air, in a word and a light. */
export function StateBadge({ state }: { readonly state: ChannelState }) {
  const strings = useStrings();
  return (
    <span className={styles["badge"]} data-state={state}>
      {strings.badge[state]}
    </span>
  );
}
