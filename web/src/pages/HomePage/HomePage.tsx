import { useState } from "react";
import { Button } from "../../components/Button/Button";
import { ChannelGrid } from "../../components/ChannelCard/ChannelGrid";
import { EmptyState } from "../../components/EmptyState/EmptyState";
import { Icon } from "../../components/Icon/Icon";
import { Link } from "../../components/Link/Link";
import { FramedScene } from "../../components/Scene/Scene";
import type { StreamEntry } from "../../core/messages";
import { severalPath } from "../../core/route";
import { searchStreams } from "../../core/search";
import { byAudience } from "../../core/streamsClient";
import { usePageTitle } from "../../hooks/usePageTitle";
import { useStreams } from "../../hooks/useStreams";
import { useStrings } from "../../hooks/useStrings";
import styles from "./HomePage.module.css";

/** The channels that are on the air. */
export function HomePage() {
  const { home } = useStrings();
  const state = useStreams(true);
  usePageTitle(null);
  switch (state.kind) {
    case "loading":
      return (
        <p className={styles["loading"]} role="status" data-state="loading">
          {home.loading}
        </p>
      );
    case "unreachable":
      return (
        <div className={styles["unreachable"]} role="status" data-state="unreachable">
          <FramedScene mood="seeking" />
          <h1>{home.unreachable.title}</h1>
          <p>{home.unreachable.text}</p>
        </div>
      );
    case "ready":
      if (state.streams.length === 0) {
        return (
          <div data-state="empty">
            <EmptyState host={window.location.hostname} />
          </div>
        );
      }
      return <Channels streams={state.streams} />;
  }
}

/** With fewer than so many channels one sees all of them anyway. */
const SEARCH_FROM = 2;

function Channels({ streams }: { readonly streams: readonly StreamEntry[] }) {
  const { home } = useStrings();
  const [text, setText] = useState("");
  const found = searchStreams(streams, text);
  const searching = text.trim() !== "";
  const loudest = byAudience(streams).flatMap((one) => (one.channel === null ? [] : [one.channel]));
  return (
    <div data-state="channels">
      <div className={styles["heading"]}>
        <div>
          <h1>{home.title}</h1>
          <p role="status">{searching ? home.found(found.length, text.trim()) : home.subtitle(streams.length)}</p>
        </div>
        {(streams.length >= SEARCH_FROM || searching) && (
          <div role="search" className={styles["tools"]}>
            <label className={styles["search"]}>
              <Icon name="search" />
              <input
                type="search"
                value={text}
                placeholder={home.search}
                aria-label={home.search}
                onChange={(event) => {
                  setText(event.target.value);
                }}
              />
            </label>
            {loudest.length > 1 && (
              <Link className={styles["several"]} href={severalPath(loudest.slice(0, 2))}>
                <Icon name="several" />
                {home.several}
              </Link>
            )}
          </div>
        )}
      </div>
      {found.length === 0 ? (
        <div className={styles["nothing"]}>
          <h2>{home.nothingFound.title(text.trim())}</h2>
          <p>{home.nothingFound.text}</p>
          <Button
            look="plain"
            onClick={() => {
              setText("");
            }}
          >
            {home.nothingFound.showAll}
          </Button>
        </div>
      ) : (
        <ChannelGrid streams={found} />
      )}
    </div>
  );
}
