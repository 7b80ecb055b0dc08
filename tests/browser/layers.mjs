// Layers of the picture, as a viewer changes them and sees them change.

/** Chooses a layer, or the automatic one, in the page's menu. */
export async function pickLayer(page, name) {
  await page.getByRole("button", { name: "Picture quality" }).click();
  await page.getByRole("menuitemradio", { name }).click();
}

/** The longest time without a picture since `from`, a moment of the page's `performance.now()`; in milliseconds. */
export async function longestGapSince(page, from) {
  const frames = await page.evaluate((from) => window.probe.frames.map(({ at }) => at).filter((at) => at >= from), from);
  return Math.max(...frames.slice(1).map((at, index) => at - frames[index]));
}
