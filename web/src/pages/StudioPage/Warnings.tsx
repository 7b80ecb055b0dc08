import { codecName } from "../../core/codecName";
import type { Desk } from "../../core/studioMessages";
import { useStudioStrings } from "../../hooks/useStudio";
import styles from "./Warnings.module.css";

/** What the streamer should change, and where. */
export function Warnings({ desk }: { readonly desk: Desk }) {
  const words = useStudioStrings().warnings;
  const { warnings } = desk;
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
                {code === "codec" && <Affected desk={desk} />}
                {code === "bitrate_limit" && <Limit desk={desk} />}
                {own && <p className={styles["where"]}>{own.where}</p>}
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

/** What comes, and what may come. */
function Limit({ desk: { uplink } }: { readonly desk: Desk }) {
  const { health, warnings } = useStudioStrings();
  if (typeof uplink?.limit_bps !== "number") return null;
  const [sends, most] = [uplink.bitrate_bps, uplink.limit_bps].map((bps) => health.kbit(bps / 1000));
  return <p className={styles["affected"]}>{warnings.limit(sends ?? "", most ?? "")}</p>;
}

/** How many viewers cannot play what is sent. */
function Affected({ desk }: { readonly desk: Desk }) {
  const { affected } = useStudioStrings().warnings;
  const { without_picture, without_sound, turned_away } = desk.unplayable;
  return (
    <ul className={styles["affected"]}>
      {without_picture > 0 && <li>{affected.picture(without_picture, codecName(desk.video?.codec))}</li>}
      {without_sound > 0 && <li>{affected.sound(without_sound, codecName(desk.audio?.codec))}</li>}
      {turned_away > 0 && <li>{affected.turnedAway(turned_away)}</li>}
    </ul>
  );
}
