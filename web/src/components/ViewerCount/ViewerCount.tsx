import { strings } from "../../strings";
import { Icon } from "../Icon/Icon";
import styles from "./ViewerCount.module.css";

/** How many people watch. */
export function ViewerCount({ count }: { readonly count: number }) {
  return (
    <span className={styles["count"]} data-viewers={count}>
      <Icon name="people" />
      {strings.viewers(count)}
    </span>
  );
}
