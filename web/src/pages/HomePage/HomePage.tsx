import { ChannelGrid } from "../../components/ChannelCard/ChannelGrid";
import { EmptyState } from "../../components/EmptyState/EmptyState";
import { FramedScene } from "../../components/Scene/Scene";
import { usePageTitle } from "../../hooks/usePageTitle";
import { useStreams } from "../../hooks/useStreams";
import { strings } from "../../strings";
import styles from "./HomePage.module.css";

/** The channels that are on the air. */
export function HomePage() {
  const state = useStreams(true);
  usePageTitle(null);
  const { home } = strings;
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
      return (
        <div data-state="channels">
          <div className={styles["heading"]}>
            <h1>{home.title}</h1>
            <p role="status">{home.subtitle(state.streams.length)}</p>
          </div>
          <ChannelGrid streams={state.streams} />
        </div>
      );
  }
}
