import type { Layer } from "./messages";

/**
 * What people call the layers of a picture: `720p` by the shorter side, whichever way it stands. Layers of one size
 * have their own names beside it.
 */
export function layerNames(layers: readonly Layer[]): readonly string[] {
  const sizes = layers.map(({ width, height }) => `${String(Math.min(width, height))}p`);
  return layers.map(({ rid }, index) => {
    const size = sizes[index] ?? rid;
    return sizes.filter((other) => other === size).length > 1 ? `${size} (${rid})` : size;
  });
}

/** The layers of a `state` message, as far as they have the documented shape. */
export function readLayers(layers: unknown): readonly Layer[] {
  if (!Array.isArray(layers)) return NO_LAYERS;
  const read = layers.filter(isLayer).slice(0, MOST_LAYERS);
  return read.length > 1 ? read : NO_LAYERS;
}

/** Whether a viewer would choose between the same. */
export function sameLayers(one: readonly Layer[], other: readonly Layer[]): boolean {
  const same = (layer: Layer, index: number): boolean => {
    const { rid, width, height } = other[index] ?? {};
    return layer.rid === rid && layer.width === width && layer.height === height;
  };
  return one.length === other.length && one.every(same);
}

/** Always the same list, so that nobody takes it for news. */
export const NO_LAYERS: readonly Layer[] = [];
const MOST_LAYERS = 16;

function isLayer(layer: unknown): layer is Layer {
  if (typeof layer !== "object" || layer === null) return false;
  const { rid, width, height } = layer as Record<string, unknown>;
  return typeof rid === "string" && typeof width === "number" && typeof height === "number";
}
