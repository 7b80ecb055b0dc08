import type { DeskWarning } from "../../core/studioMessages";
import { useStudioStrings } from "../../hooks/useStudio";
import styles from "./Warnings.module.css";

/** What the streamer should change, and where. */
export function Warnings({ warnings }: { readonly warnings: readonly DeskWarning[] }) {
  const words = useStudioStrings().warnings;
  const known = words.codes as Readonly<Record<string, (typeof words.codes)["b_frames"] | undefined>>;
  return (
    <section className={styles["warnings"]} aria-labelledby="warnings">
      <h2 id="warnings">{words.heading}</h2>
      {warnings.length === 0 ? (
        <p className={styles["none"]}>{words.none}</p>
      ) : (
        <ul>
          {warnings.map(({ code, message }) => {
            const own = known[code];
            return (
              <li key={code} data-warning={code}>
                <h3>{own?.title ?? words.unknown}</h3>
                <p>{own?.text ?? message}</p>
                {own && <p className={styles["where"]}>{own.where}</p>}
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
