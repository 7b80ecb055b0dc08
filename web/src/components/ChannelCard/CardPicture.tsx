import { useRef, useState } from "react";
import { codecName } from "../../core/codecName";
import type { StreamEntry } from "../../core/messages";
import { canShowStill } from "../../core/stillType";
import { usePreview } from "../../hooks/usePreview";
import { useStrings } from "../../hooks/useStrings";
import { CardArt } from "./CardArt";
import styles from "./CardPicture.module.css";

interface Props {
  readonly name: string;
  readonly stream: StreamEntry;
}

/** What a channel shows right now; its landscape until that is known, and where it cannot be. */
export function CardPicture({ name, stream }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { card } = useStrings();
  const video = stream.state === "waiting" ? undefined : stream.tracks.find((track) => track.kind === "video");
  const [probe] = useState(() => document.createElement("video"));
  const hasStill = video !== undefined && canShowStill(video.codec, probe);
  const drawn = usePreview(canvas, stream.port, hasStill);
  return (
    <>
      <CardArt name={name} />
      <canvas ref={canvas} className={styles["still"]} data-drawn={drawn} aria-hidden="true" />
      {video && !hasStill && <span className={styles["none"]}>{card.noStill(codecName(video.codec))}</span>}
    </>
  );
}
