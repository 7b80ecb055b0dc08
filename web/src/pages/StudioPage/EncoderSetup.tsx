import { CopyField } from "../../components/CopyField/CopyField";
import { encoderSetups, type EncoderSetup as Setup, srtAddress } from "../../core/encoderSetup";
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
        {setups.map((way, at) => (
          <details key={way.kind} open={at === 0 && desk.state === "offline"} data-way={way.kind}>
            <summary>{setup.kinds[way.kind].name}</summary>
            <p>{setup.kinds[way.kind].steps}</p>
            {way.srt ? (
              <SrtFields way={way} streamKey={streamKey} />
            ) : (
              <dl>
                <dt>{setup.server}</dt>
                <dd>
                  <CopyField text={way.server} label={setup.server} />
                </dd>
                <dt>{way.kind === "obs-whip" ? setup.token : setup.key}</dt>
                <dd>
                  <StreamKey streamKey={streamKey} />
                </dd>
              </dl>
            )}
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

function StreamKey({ streamKey }: { readonly streamKey: string | null }) {
  const { setup } = useStudioStrings();
  if (streamKey === null) return <span className={styles["hidden"]}>{setup.hidden}</span>;
  return <CopyField text={streamKey} label={setup.key} secret />;
}

/** Everything in one address for OBS, and the parts for encoders that have a field for each. */
function SrtFields({ way, streamKey }: { readonly way: Setup; readonly streamKey: string | null }) {
  const { setup } = useStudioStrings();
  const { srt } = setup;
  const { latency_ms: latencyMs = 0, passphrase = null } = way.srt ?? {};
  return (
    <dl>
      <dt>{srt.whole}</dt>
      <dd>
        {streamKey === null ? (
          <CopyField text={srtAddress(way, srt.yourKey)} label={srt.whole} />
        ) : (
          <CopyField text={srtAddress(way, streamKey)} label={srt.whole} secret />
        )}
      </dd>
      <dt>{setup.server}</dt>
      <dd>
        <CopyField text={way.server} label={setup.server} />
      </dd>
      <dt>{srt.streamId}</dt>
      <dd>
        <StreamKey streamKey={streamKey} />
      </dd>
      <dt>{srt.passphrase}</dt>
      <dd>
        {passphrase === null ? (
          <span className={styles["hidden"]}>{srt.noPassphrase}</span>
        ) : (
          <CopyField text={passphrase} label={srt.passphrase} secret />
        )}
      </dd>
      <dt>{srt.latency}</dt>
      <dd>{srt.latencyText(latencyMs)}</dd>
    </dl>
  );
}
