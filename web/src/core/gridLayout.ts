export interface Shape {
  readonly width: number;
  readonly height: number;
}

/** What a tile has below its picture, and the page above and below all of them; in pixels. */
const LINE_PX = 56;
const AROUND_PX = 150;
/** Narrower pictures show nothing any more. */
const LEAST_PX = 280;

export interface Grid {
  readonly columns: number;
  /** How wide a picture may be at most. */
  readonly widthPx: number;
}

/** In how many columns so many pictures of 16:9 are largest in a window without scrolling, as far as they fit. */
export function gridLayout(count: number, window: Shape): Grid {
  const most = Math.max(1, Math.min(count, Math.floor(window.width / LEAST_PX)));
  let best: Grid = { columns: 1, widthPx: 0 };
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = Math.ceil(count / columns);
    const high = (window.height - AROUND_PX) / rows - LINE_PX;
    const widthPx = Math.floor(Math.min(window.width / columns, (high * 16) / 9));
    if (widthPx > best.widthPx) best = { columns, widthPx };
  }
  // On a phone they stand below each other, and one scrolls.
  return best.widthPx < LEAST_PX ? { columns: most, widthPx: window.width } : best;
}
