export interface Shape {
  readonly width: number;
  readonly height: number;
}

/** What a tile has below its picture, and the page above and below all of them; in pixels. */
const LINE_PX = 56;
const AROUND_PX = 150;
/** Narrower pictures show nothing any more. */
const LEAST_PX = 280;

/** In how many columns so many pictures of 16:9 are largest in a window without scrolling, as far as they fit. */
export function gridColumns(count: number, window: Shape): number {
  if (count <= 1) return 1;
  const most = Math.max(1, Math.min(count, Math.floor(window.width / LEAST_PX)));
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = Math.ceil(count / columns);
    const high = (window.height - AROUND_PX) / rows - LINE_PX;
    const width = Math.min(window.width / columns, (high * 16) / 9);
    if (width > best.width) best = { columns, width };
  }
  // On a phone they stand below each other, and one scrolls.
  return best.width < LEAST_PX ? most : best.columns;
}
