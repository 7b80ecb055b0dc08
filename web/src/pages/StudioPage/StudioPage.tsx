import { type SubmitEvent, useId, useState } from "react";
import { Button } from "../../components/Button/Button";
import { FramedScene } from "../../components/Scene/Scene";
import type { StudioClient, StudioProblem } from "../../core/studioClient";
import { usePageTitle } from "../../hooks/usePageTitle";
import { useStudio, useStudioStrings } from "../../hooks/useStudio";
import { Desk } from "./Desk";
import styles from "./StudioPage.module.css";

/** The streamer's desk: how the stream arrives, what to change, and the means to change it. */
export function StudioPage() {
  const words = useStudioStrings();
  const { studio, state } = useStudio();
  usePageTitle(state.kind === "signed-in" ? `${words.title}: ${state.desk.channel}` : words.title);
  // Kept for the copy buttons of this very page, and nowhere else.
  const [key, setKey] = useState<string | null>(null);
  switch (state.kind) {
    case "checking":
      return (
        <p className={styles["checking"]} role="status">
          {words.checking}
        </p>
      );
    case "signed-out":
      return <SignIn studio={studio} problem={state.problem} onKey={setKey} />;
    case "signed-in":
      return <Desk studio={studio} desk={state.desk} fresh={state.fresh} streamKey={key} />;
  }
}

interface SignInProps {
  readonly studio: StudioClient;
  readonly problem: StudioProblem | null;
  readonly onKey: (key: string) => void;
}

function SignIn({ studio, problem, onKey }: SignInProps) {
  const { signIn, problems } = useStudioStrings();
  const id = useId();
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const refused = await studio.signIn(text);
    setBusy(false);
    if (!refused) onKey(text.trim());
  };
  return (
    <div className={styles["signIn"]} data-state="signed-out">
      <div>
        <h1>{signIn.title}</h1>
        <p className={styles["lead"]}>{signIn.text}</p>
        <form onSubmit={(event) => void submit(event)}>
          <label htmlFor={id}>{signIn.key}</label>
          <div className={styles["line"]}>
            <input
              id={id}
              type="password"
              autoComplete="current-password"
              spellCheck={false}
              required
              value={text}
              aria-invalid={problem === "wrong-key"}
              aria-describedby={`${id}-about`}
              onChange={(event) => {
                setText(event.target.value);
              }}
            />
            <Button look="bright" type="submit" disabled={busy}>
              {signIn.submit}
            </Button>
          </div>
          <p className={styles["problem"]} role="alert">
            {problem && problems[problem]}
          </p>
          <p id={`${id}-about`} className={styles["safe"]}>
            {signIn.safe}
          </p>
        </form>
      </div>
      <FramedScene mood="night" />
    </div>
  );
}
