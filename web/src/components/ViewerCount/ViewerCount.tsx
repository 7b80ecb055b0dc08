import { Icon } from "../Icon/Icon";
import { useStrings } from "../../hooks/useStrings";
import styles from "./ViewerCount.module.css";

/** How many people watch. */
export function ViewerCount({ count }: { readonly count: number }) {
  const strings = useStrings();
  return (
    <span className={styles["count"]} data-viewers={count}>
      <Icon name="people" />
      {strings.viewers(count)}
    </span>
  );
}
