import { CopyField } from "../../components/CopyField/CopyField";
import { encoderSetups } from "../../core/encoderSetup";
import type { Desk } from "../../core/studioMessages";
import { useStudioStrings } from "../../hooks/useStudio";
import styles from "./EncoderSetup.module.css";

interface Props {
  readonly desk: Desk;
  readonly streamKey: string | null;
}

/** What to enter into an encoder, with the addresses of this very server. */
export function EncoderSetup({ desk, streamKey }: Props) {
  const { setup } = useStudioStrings();
  const setups = encoderSetups(desk, window.location);
  return (
    <section className={styles["setup"]} aria-labelledby="setup">
      <h2 id="setup">{setup.heading}</h2>
      <p>{setup.text}</p>
      <div className={styles["ways"]}>
        {setups.map(({ kind, server }, at) => (
          <details key={kind} open={at === 0 && desk.state === "offline"} data-way={kind}>
            <summary>{setup.kinds[kind].name}</summary>
            <p>{setup.kinds[kind].steps}</p>
            <dl>
              <dt>{setup.server}</dt>
              <dd>
                <CopyField text={server} label={setup.server} />
              </dd>
              <dt>{kind === "obs-whip" ? setup.token : setup.key}</dt>
              <dd>
                {streamKey === null ? (
                  <span className={styles["hidden"]}>{setup.hidden}</span>
                ) : (
                  <CopyField text={streamKey} label={setup.key} secret />
                )}
              </dd>
            </dl>
          </details>
        ))}
      </div>
      <h3>{setup.adviceHeading}</h3>
      <ul className={styles["advice"]}>
        {setup.advice.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </section>
  );
}
