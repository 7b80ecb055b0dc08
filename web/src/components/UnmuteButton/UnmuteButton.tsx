import { Icon } from "../Icon/Icon";
import { useStrings } from "../../hooks/useStrings";
import styles from "./UnmuteButton.module.css";

/** Browsers start videos only without sound; this is the way to it, hard to miss. */
export function UnmuteButton({ onUnmute }: { readonly onUnmute: () => void }) {
  const strings = useStrings();
  return (
    <button type="button" className={styles["unmute"]} onClick={onUnmute}>
      <Icon name="silent" />
      {strings.controls.unmute}
    </button>
  );
}
