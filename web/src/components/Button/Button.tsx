import type { ComponentProps } from "react";
import styles from "./Button.module.css";

interface Props extends ComponentProps<"button"> {
  /** `bright` is for the one thing to do; `plain` for what one may do as well. */
  readonly look: "bright" | "plain";
}

export function Button({ look, children, ...others }: Props) {
  return (
    <button type="button" {...others} className={styles["button"]} data-look={look}>
      {children}
    </button>
  );
}
