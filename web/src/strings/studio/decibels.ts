/** A level with a real minus sign, which no line breaks behind. */
export function decibels(value: number, language: string): string {
  return `${(Math.round(value) || 0).toLocaleString(language).replace("-", "\u2212")}\u00a0dB`;
}
