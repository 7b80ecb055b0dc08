import type { ReactNode } from "react";
import { CopyField } from "../CopyField/CopyField";
import { FramedScene } from "../Scene/Scene";
import { useStrings } from "../../hooks/useStrings";
import styles from "./EmptyState.module.css";

interface Props {
  /** The name that streamers reach the server by. */
  readonly host: string;
}

/** Nobody is on the air: says so, and how to be the first. */
export function EmptyState({ host }: Props) {
  const strings = useStrings();
  const { empty } = strings;
  return (
    <div className={styles["empty"]}>
      <div className={styles["news"]}>
        <h1>{empty.title}</h1>
        <p>{empty.text}</p>
        <div className={styles["scene"]}>
          <FramedScene mood="night" />
        </div>
      </div>
      <section className={styles["howTo"]} aria-labelledby="how-to">
        <h2 id="how-to">{empty.howTo}</h2>
        <ol>
          <Step>
            <p>{empty.stepKey}</p>
            <CopyField text={empty.keyCommand} label={empty.stepKey} />
          </Step>
          <Step>
            <p>{empty.stepSettings}</p>
            <dl>
              <dt>{empty.serverLabel}</dt>
              <dd>
                <CopyField text={`ftl://${host}`} label={empty.serverLabel} />
              </dd>
              <dt>{empty.keyLabel}</dt>
              <dd className={styles["placeholder"]}>{empty.keyPlaceholder}</dd>
            </dl>
          </Step>
          <Step>
            <p>{empty.stepEncoder}</p>
          </Step>
        </ol>
        <details>
          <summary>{empty.withoutObs}</summary>
          <CopyField text={empty.publishCommand(host)} label={empty.withoutObs} />
        </details>
      </section>
    </div>
  );
}

function Step({ children }: { readonly children: ReactNode }) {
  return <li className={styles["step"]}>{children}</li>;
}
