import { useRef, useState } from "react";
import type { ViewerSession } from "../../core/viewerSession";
import { useFigures } from "../../hooks/useFigures";
import { useStrings } from "../../hooks/useStrings";
import { figureRows, figureText } from "../../strings/figureWords";
import { writeClipboard } from "../CopyField/clipboard";
import { Icon } from "../Icon/Icon";
import { MinuteChart } from "./MinuteChart";
import styles from "./FiguresPanel.module.css";

interface Props {
  readonly session: ViewerSession;
  readonly onClose: () => void;
}

/** How playback goes, in figures, over the picture. */
export function FiguresPanel({ session, onClose }: Props) {
  const strings = useStrings();
  const words = strings.figures;
  const report = useFigures(session);
  const list = useRef<HTMLDListElement>(null);
  const [outcome, setOutcome] = useState<"none" | "copied" | "failed">("none");
  const rows = report ? figureRows(report.now, session.snapshot().transport, strings) : [];

  const copy = async (): Promise<void> => {
    const copied = await writeClipboard(figureText(`${words.title}, ${new Date().toISOString()}`, rows));
    setOutcome(copied ? "copied" : "failed");
    if (!copied && list.current) window.getSelection()?.selectAllChildren(list.current);
  };
  return (
    <section className={styles["panel"]} aria-label={words.title}>
      <div className={styles["head"]}>
        <h2>{words.title}</h2>
        <button type="button" className={styles["copy"]} disabled={!report} onClick={() => void copy()}>
          <Icon name={outcome === "copied" ? "check" : "copy"} />
          <span role="status">{{ none: words.copy, copied: words.copied, failed: words.copyFailed }[outcome]}</span>
        </button>
        <button type="button" className={styles["close"]} aria-label={words.close} title={words.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {report && <MinuteChart minute={report.minute} />}
      <dl ref={list} className={styles["rows"]}>
        {rows.map(({ name, value, note }) => (
          <div key={name} title={note}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            {note !== undefined && <dd className={styles["note"]}>{note}</dd>}
          </div>
        ))}
      </dl>
    </section>
  );
}
