export interface Point {
  readonly x: number;
  /** Null: nothing is known there, and the line has a gap. */
  readonly y: number | null;
}

interface Frame {
  readonly width: number;
  readonly height: number;
  /** The width in the unit of `x`. */
  readonly spanX: number;
}

/** The line of an SVG path through the points, from zero to a round number above the largest one, and that number. */
export function linePoints(points: readonly Point[], { width, height, spanX }: Frame): { path: string; topY: number } {
  const topY = roundAbove(Math.max(0, ...points.map((point) => point.y ?? 0)));
  let path = "";
  let open = false;
  for (const { x, y } of points) {
    if (y === null) {
      open = false;
      continue;
    }
    const [left, top] = [(x / spanX) * width, height - (Math.max(0, y) / topY) * height];
    path += `${open ? "L" : "M"}${left.toFixed(1)} ${top.toFixed(1)}`;
    open = true;
  }
  return { path, topY };
}

/** 1, 2 or 5 times a power of ten, not below `value`. */
export function roundAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const found = [1, 2, 5, 10].find((step) => step * power >= value) ?? 10;
  return Number((found * power).toPrecision(3));
}
