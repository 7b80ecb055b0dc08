import { strings } from "../../strings";
import { Icon } from "../Icon/Icon";
import styles from "./UnmuteButton.module.css";

/** Browsers start videos only without sound; this is the way to it, hard to miss. */
export function UnmuteButton({ onUnmute }: { readonly onUnmute: () => void }) {
  return (
    <button type="button" className={styles["unmute"]} onClick={onUnmute}>
      <Icon name="silent" />
      {strings.controls.unmute}
    </button>
  );
}
