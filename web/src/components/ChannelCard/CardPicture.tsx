import { useRef } from "react";
import type { StreamEntry } from "../../core/messages";
import { usePreview } from "../../hooks/usePreview";
import { CardArt } from "./CardArt";
import styles from "./CardPicture.module.css";

interface Props {
  readonly name: string;
  readonly stream: StreamEntry;
}

/** What a channel shows right now; its landscape until that is known, and where it cannot be. */
export function CardPicture({ name, stream }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const hasPicture = stream.state !== "waiting" && stream.tracks.some((track) => track.kind === "video");
  const drawn = usePreview(canvas, stream.port, hasPicture);
  return (
    <>
      <CardArt name={name} />
      <canvas ref={canvas} className={styles["still"]} data-drawn={drawn} aria-hidden="true" />
    </>
  );
}
