import { type CSSProperties, useState } from "react";
import { Button } from "../../components/Button/Button";
import { Icon } from "../../components/Icon/Icon";
import { Link } from "../../components/Link/Link";
import { FramedScene } from "../../components/Scene/Scene";
import { gridLayout } from "../../core/gridLayout";
import type { StreamEntry } from "../../core/messages";
import { MOST_AT_ONCE, severalPath } from "../../core/route";
import { byAudience } from "../../core/streamsClient";
import { navigate } from "../../hooks/useRoute";
import { usePageTitle } from "../../hooks/usePageTitle";
import { useStreams } from "../../hooks/useStreams";
import { useStrings } from "../../hooks/useStrings";
import { useWindowShape } from "../../hooks/useWindowShape";
import styles from "./SeveralPage.module.css";
import { Tile } from "./Tile";

/** Several channels at once, one of them with sound. What is watched stands in the address. */
export function SeveralPage({ channels }: { readonly channels: readonly string[] }) {
  const { several } = useStrings();
  const [heard, setHeard] = useState<string | null>(null);
  const list = useStreams(true);
  const streams = list.kind === "ready" ? list.streams : [];
  const { columns, widthPx } = gridLayout(channels.length, useWindowShape());
  usePageTitle(several.title(channels.length));

  const remove = (name: string): void => {
    if (heard === name) setHeard(null);
    navigate(severalPath(channels.filter((one) => one !== name)));
  };
  return (
    <>
      <div className={styles["head"]}>
        <h1>{channels.length === 0 ? several.none.title : several.title(channels.length)}</h1>
        <Adder channels={channels} streams={streams} />
      </div>
      {channels.length === 0 ? (
        <div className={styles["none"]}>
          <FramedScene mood="night" />
          <p>{several.none.text}</p>
        </div>
      ) : (
        <ul
          className={styles["grid"]}
          style={{ "--columns": columns, "--widest": `${widthPx}px` } as CSSProperties}
          data-several={channels.length}
        >
          {channels.map((name) => (
            <li key={name}>
              <Tile
                name={name}
                entry={streams.find((one) => one.channel === name) ?? null}
                sound={{
                  on: heard === name,
                  set: (on) => {
                    setHeard(on ? name : null);
                  },
                }}
                withShortcuts={heard === name || (heard === null && name === channels[0])}
                onRemove={() => {
                  remove(name);
                }}
              />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

interface AdderProps {
  readonly channels: readonly string[];
  readonly streams: readonly StreamEntry[];
}

/** Adds one of the channels that are on the air. */
function Adder({ channels, streams }: AdderProps) {
  const { several } = useStrings();
  const [open, setOpen] = useState(false);
  const more = byAudience(streams).filter((one) => one.channel !== null && !channels.includes(one.channel));
  if (channels.length >= MOST_AT_ONCE) return <p className={styles["full"]}>{several.full(MOST_AT_ONCE)}</p>;
  return (
    <div className={styles["adder"]}>
      <Button
        look="plain"
        aria-expanded={open}
        onClick={() => {
          setOpen(!open);
        }}
      >
        <Icon name="plus" />
        {several.add}
      </Button>
      {open && (
        <div className={styles["choices"]}>
          <p>{more.length === 0 ? several.nothingToAdd : several.addHint}</p>
          <ul>
            {more.map(({ channel, name }) =>
              channel === null ? null : (
                <li key={channel}>
                  <Link href={severalPath([...channels, channel])}>{name ?? channel}</Link>
                </li>
              ),
            )}
          </ul>
        </div>
      )}
    </div>
  );
}
