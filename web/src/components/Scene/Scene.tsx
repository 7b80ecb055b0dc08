import styles from "./Scene.module.css";

/** What the mirror on the ridge is doing. */
export type Mood =
  /** Flashing for an answer. */
  | "seeking"
  /** The other side has seen it. */
  | "answered"
  /** A cloud stands before the sun. */
  | "clouded"
  /** The sun is down; nobody signals. */
  | "night"
  /** The beam does not reach the other side. */
  | "broken";

/** Two stations on a ridge and the light between them: the state of a connection as a picture. */
export function Scene({ mood }: { readonly mood: Mood }) {
  return (
    <svg className={styles["scene"]} data-mood={mood} viewBox="0 0 640 250" aria-hidden="true">
      <g className={styles["stars"]}>
        <path d="M60 60h.01M142 34h.01M236 74h.01M318 26h.01M398 62h.01M470 30h.01M566 70h.01M604 24h.01M20 112h.01" />
      </g>
      <g className={styles["sun"]}>
        <circle className={styles["glow"]} cx="96" cy="62" r="46" />
        <circle className={styles["disc"]} cx="96" cy="62" r="24" />
      </g>
      <path className={styles["far"]} d="M0 196 66 158l58 30 104-58 66 38 74-34 62 38 118-58 92 52v84H0z" />
      <path className={styles["ray"]} d="M118 84 166 124" />
      <path className={styles["near"]} d="M0 226l58-22 56-26 54-36 30 14 56 46 82 24 78-20 58-36 48-36 28 16 50 38 42 14v48H0z" />
      <g className={styles["beam"]}>
        <path className={styles["path"]} d="M184 128 508 116" />
        <path className={styles["flashes"]} d="M184 128 508 116" pathLength="324" />
      </g>
      <g className={styles["mirror"]}>
        <path d="M163 145l7-14 7 14" />
        <ellipse cx="170" cy="128" rx="8.500" ry="10.500" transform="rotate(-14 170 128)" />
      </g>
      <g className={styles["station"]}>
        <circle className={styles["glint"]} cx="520" cy="115" r="17" />
        <path d="M514 135l6-14 6 14" />
        <circle cx="520" cy="115" r="6" />
      </g>
      <path
        className={styles["cloud"]}
        d="M66 92a15 15 0 0 1 3-29.700 21 21 0 0 1 38-8.500 17 17 0 0 1 27 8.200A15.200 15.200 0 0 1 137 92z"
      />
    </svg>
  );
}

/** The same on a page instead of a screen: with a sky of its own, and a frame. */
export function FramedScene({ mood }: { readonly mood: Mood }) {
  return (
    <div className={styles["frame"]}>
      <Scene mood={mood} />
    </div>
  );
}
