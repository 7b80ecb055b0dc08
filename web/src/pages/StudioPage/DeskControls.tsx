import { type SubmitEvent, useId, useState } from "react";
import { Button } from "../../components/Button/Button";
import type { StudioClient, StudioProblem } from "../../core/studioClient";
import type { Desk } from "../../core/studioMessages";
import { useStudioStrings } from "../../hooks/useStudio";
import styles from "./DeskControls.module.css";

interface Props {
  readonly studio: StudioClient;
  readonly desk: Desk;
}

/** What can be done while one is on the air. */
export function DeskControls({ studio, desk }: Props) {
  const { controls, problems } = useStudioStrings();
  const [problem, setProblem] = useState<StudioProblem | null>(null);
  const [ending, setEnding] = useState(false);
  const order = async (what: Promise<StudioProblem | null>): Promise<boolean> => {
    const outcome = await what;
    setProblem(outcome);
    return outcome === null;
  };
  const on = desk.state !== "offline";
  return (
    <section className={styles["controls"]} aria-labelledby="controls">
      <h2 id="controls">{controls.heading}</h2>
      <TitleForm key={desk.title} title={desk.title ?? ""} disabled={!on} onSave={(title) => order(studio.setTitle(title))} />
      <div className={styles["buttons"]}>
        <Button
          look="plain"
          disabled={!on}
          aria-pressed={desk.muted}
          onClick={() => void order(studio.setMuted(!desk.muted))}
        >
          {desk.muted ? controls.unmute : controls.mute}
        </Button>
        {desk.closed_for_s !== null && !on ? (
          <Button look="bright" onClick={() => void order(studio.open())}>
            {controls.open}
          </Button>
        ) : (
          <Button
            look="plain"
            disabled={!on}
            aria-expanded={ending}
            onClick={() => {
              setEnding(!ending);
            }}
          >
            {controls.end}
          </Button>
        )}
      </div>
      {desk.muted && (
        <p className={styles["muted"]} role="status">
          {controls.muted}
        </p>
      )}
      {ending && on && (
        <div className={styles["sure"]} role="group" aria-label={controls.endSure}>
          <p>
            <strong>{controls.endSure}</strong> {controls.endText}
          </p>
          <div className={styles["buttons"]}>
            <Button
              look="bright"
              onClick={() => {
                setEnding(false);
                void order(studio.end());
              }}
            >
              {controls.endYes}
            </Button>
            <Button
              look="plain"
              onClick={() => {
                setEnding(false);
              }}
            >
              {controls.endNo}
            </Button>
          </div>
        </div>
      )}
      <p className={styles["problem"]} role="alert">
        {problem && problems[problem]}
      </p>
    </section>
  );
}

interface TitleProps {
  readonly title: string;
  readonly disabled: boolean;
  readonly onSave: (title: string) => Promise<boolean>;
}

/** Key it by the title that holds, so that a change from elsewhere shows. */
function TitleForm({ title, disabled, onSave }: TitleProps) {
  const { controls } = useStudioStrings();
  const id = useId();
  const [text, setText] = useState(title);
  const [saved, setSaved] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setSaved(await onSave(text.trim()));
  };
  return (
    <form className={styles["title"]} onSubmit={(event) => void submit(event)}>
      <label htmlFor={id}>{controls.title}</label>
      <input
        id={id}
        maxLength={200}
        value={text}
        disabled={disabled}
        placeholder={controls.titleHint}
        onChange={(event) => {
          setText(event.target.value);
          setSaved(false);
        }}
      />
      <Button look="plain" type="submit" disabled={disabled || text.trim() === title}>
        {saved && text.trim() === title ? controls.saved : controls.save}
      </Button>
    </form>
  );
}
