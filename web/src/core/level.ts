/** Sound below this is silence on a meter. */
const FLOOR_DB = -60;

/** How far a meter goes for these samples: 0 for silence, 1 for as loud as can be. Ears hear in decibels. */
export function level(samples: Float32Array): number {
  if (samples.length === 0) return 0;
  const mean = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(mean);
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB));
}
