import { Button } from "../../components/Button/Button";
import { StateBadge } from "../../components/StateBadge/StateBadge";
import { ViewerCount } from "../../components/ViewerCount/ViewerCount";
import type { StudioClient } from "../../core/studioClient";
import type { Desk as DeskState } from "../../core/studioMessages";
import { watchPath } from "../../core/route";
import { useNow } from "../../hooks/useNow";
import { useStrings } from "../../hooks/useStrings";
import { useStudioStrings } from "../../hooks/useStudio";
import { sinceWords } from "../../strings/words";
import { BrowserBroadcast } from "./BrowserBroadcast";
import { DeskControls } from "./DeskControls";
import { EncoderSetup } from "./EncoderSetup";
import { Health } from "./Health";
import { Warnings } from "./Warnings";
import styles from "./Desk.module.css";

interface Props {
  readonly studio: StudioClient;
  readonly desk: DeskState;
  /** False: the server does not answer, and this is what was known last. */
  readonly fresh: boolean;
  /** The key, when it was typed into this very page. */
  readonly streamKey: string | null;
}

export function Desk({ studio, desk, fresh, streamKey }: Props) {
  const strings = useStrings();
  const words = useStudioStrings();
  const nowMs = useNow(30_000);
  const closed = desk.closed_for_s !== null && desk.state === "offline";
  return (
    <div className={styles["desk"]} data-state={desk.state} data-fresh={fresh}>
      <header className={styles["head"]}>
        <div>
          <h1>{desk.title ?? desk.channel}</h1>
          <p role="status">
            {!fresh
              ? words.stale
              : closed
                ? words.state.closed(Math.ceil((desk.closed_for_s ?? 0) / 60))
                : words.state[desk.state]}
          </p>
        </div>
        <div className={styles["facts"]}>
          <StateBadge state={desk.state} />
          {desk.state !== "offline" && <ViewerCount count={desk.viewers} />}
          {desk.since_ms !== null && <span>{sinceWords(desk.since_ms, nowMs, strings)}</span>}
          <a href={watchPath({ kind: "channel", name: desk.channel })} target="_blank" rel="noopener">
            {words.watch}
          </a>
          <Button look="plain" onClick={() => void studio.signOut()}>
            {words.signOut}
          </Button>
        </div>
      </header>
      {desk.state !== "offline" && <Warnings desk={desk} />}
      <div className={styles["columns"]}>
        <Health desk={desk} />
        <DeskControls studio={studio} desk={desk} />
      </div>
      {desk.doors.whip && <BrowserBroadcast studio={studio} desk={desk} />}
      <EncoderSetup desk={desk} streamKey={streamKey} />
    </div>
  );
}
