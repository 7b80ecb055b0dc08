import { NO_LAYERS } from "./layers";
import type { Layer } from "./messages";
import type { Transport } from "./transportChoice";
import { type Cause, IDLE, type ViewerState } from "./viewerState";

/** What a session shows of itself. */
export interface ViewerSnapshot {
  readonly state: ViewerState;
  /** People watching, oneself included; null until the server has told. */
  readonly viewers: number | null;
  /** The streamer's title. */
  readonly title: string | null;
  /** The newest one; it stays while a new connection is made, so that the last picture does. */
  readonly stream: MediaStream | null;
  readonly transport: Transport | null;
  /** Something is missing although the session goes on: a codec that this browser lacks. */
  readonly notice: Cause | null;
  /** Of the picture, best first; none where there is nothing to choose. */
  readonly layers: readonly Layer[];
  /** The one that the viewer picked, by name; null: as the network permits. */
  readonly layer: string | null;
  readonly timeline: Timeline;
}

/** Whether there is sound alone because this browser cannot show the picture. */
export function isPictureMissing({ notice, stream }: Pick<ViewerSnapshot, "notice" | "stream">): boolean {
  if (notice?.code !== "codec" || stream === null) return false;
  return notice.missing?.some(({ kind }) => kind === "video") ?? stream.getVideoTracks().length === 0;
}

/** When the steps of the newest attempt happened, in milliseconds of `performance.now()`. */
export interface Timeline {
  readonly signalingStartMs?: number;
  readonly signalingOpenMs?: number;
  readonly describedMs?: number;
  readonly connectedMs?: number;
  readonly firstPictureMs?: number;
}

export const NOTHING: ViewerSnapshot = {
  state: IDLE,
  viewers: null,
  title: null,
  stream: null,
  transport: null,
  notice: null,
  layers: NO_LAYERS,
  layer: null,
  timeline: {},
};
