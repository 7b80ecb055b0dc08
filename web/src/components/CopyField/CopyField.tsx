import { useRef, useState } from "react";
import { Icon } from "../Icon/Icon";
import { useStrings } from "../../hooks/useStrings";
import { writeClipboard } from "./clipboard";
import styles from "./CopyField.module.css";

interface Props {
  readonly text: string;
  /** What the text is, for those who do not see where it stands. */
  readonly label: string;
  /** Not for the eyes of everybody who sees the screen. */
  readonly secret?: boolean;
}

/** A line of text to take along. */
export function CopyField({ text, label, secret = false }: Props) {
  const strings = useStrings();
  const code = useRef<HTMLElement>(null);
  const [outcome, setOutcome] = useState<"none" | "copied" | "failed">("none");
  const words = { none: strings.empty.copy, copied: strings.empty.copied, failed: strings.empty.copyFailed }[outcome];

  const copy = async (): Promise<void> => {
    const copied = await writeClipboard(text);
    setOutcome(copied ? "copied" : "failed");
    if (!copied && code.current) window.getSelection()?.selectAllChildren(code.current);
  };

  return (
    <span className={styles["field"]}>
      <code ref={code}>{secret && outcome !== "failed" ? "•".repeat(12) : text}</code>
      <button type="button" aria-label={`${strings.empty.copy}: ${label}`} onClick={() => void copy()}>
        <Icon name={outcome === "copied" ? "check" : "copy"} />
        <span role="status">{words}</span>
      </button>
    </span>
  );
}
