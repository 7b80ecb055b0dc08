import { useCallback, useMemo, useState } from "react";
import { Button } from "../../components/Button/Button";
import { Icon } from "../../components/Icon/Icon";
import { Player } from "../../components/Player/Player";
import { StatusOverlay } from "../../components/StatusOverlay/StatusOverlay";
import type { EmbedWishes } from "../../core/route";
import { watchPath } from "../../core/route";
import { type Target, targetName } from "../../core/target";
import { useDocumentColours } from "../../hooks/useLook";
import { useEmbedApi } from "../../hooks/useEmbedApi";
import { usePageTitle } from "../../hooks/usePageTitle";
import type { PlayerReport } from "../../hooks/usePlayerReport";
import { useSite } from "../../hooks/useSite";
import { useStrings } from "../../hooks/useStrings";
import { useViewerSession } from "../../hooks/useViewerSession";
import styles from "./EmbedPage.module.css";

interface Props {
  readonly target: Target;
  readonly wishes: EmbedWishes;
}

/** One player and nothing else, for a frame in a page of another site. */
export function EmbedPage({ target, wishes }: Props) {
  const strings = useStrings();
  const site = useSite();
  const [wanted, setWanted] = useState(wishes.autoplay);
  const start = useCallback(() => {
    setWanted(true);
  }, []);
  const onReport = useEmbedApi(targetName(target), start);
  usePageTitle(targetName(target));
  useDocumentColours(useMemo(() => (wishes.colour === null ? site : { ...site, colour: wishes.colour }), [site, wishes.colour]));
  return (
    <div className={styles["page"]}>
      {wanted ? (
        <Playing target={target} wishes={wishes} onReport={onReport} />
      ) : (
        <div className={styles["poster"]} data-state="idle">
          <StatusOverlay
            mood="answered"
            words={{ title: targetName(target), text: strings.status.autoplayBlocked.title }}
            overPicture={false}
            fleeting={false}
          >
            <Button look="bright" onClick={start}>
              <Icon name="play" />
              {strings.status.autoplayBlocked.action}
            </Button>
          </StatusOverlay>
        </div>
      )}
    </div>
  );
}

function Playing({ target, wishes, onReport }: Props & { readonly onReport: (report: PlayerReport) => void }) {
  const strings = useStrings();
  const { title: site = strings.name } = useSite();
  const { session, snapshot } = useViewerSession(target);
  const open = strings.embed.open(site);
  return (
    <Player
      name={snapshot.title ?? targetName(target)}
      session={session}
      snapshot={snapshot}
      startMuted={wishes.muted}
      withControls={wishes.controls}
      withLogo={wishes.logo}
      withLinks={false}
      onReport={onReport}
      extra={
        <a className={styles["open"]} href={watchPath(target)} target="_blank" rel="noopener" title={open}>
          {site}
        </a>
      }
    />
  );
}
