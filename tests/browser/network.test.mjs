import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { missed, printNetworks, startScene, watch } from "./network.mjs";
import { cases, nonsense, short } from "./networks.mjs";

describe("bad networks, briefly", { timeout: 150_000 }, () => {
  let scene;
  before(async () => {
    scene = await startScene();
  });
  after(async () => {
    await scene?.close();
  });

  /** Every sentence that the page has said of what is going on, in their order. */
  const listen = () => {
    window.said = [];
    new MutationObserver(() => {
      const words = document.querySelector("section[data-state] [role=status] p")?.textContent;
      if (words && window.said.at(-1) !== words) window.said.push(words);
    }).observe(document, { subtree: true, childList: true, characterData: true });
  };

  test("a far way says how far it has got; one that loses nearly everything says so, and the picture comes back", async (t) => {
    if (!scene) return t.skip("no network namespaces");
    const { link, browser, url } = scene;
    const far = { delayMs: 150 };
    await link.set({ down: far, up: far });
    const context = await browser.newContext({ locale: "en" });
    t.after(() => context.close());
    const page = await context.newPage();
    await page.addInitScript(listen);
    await page.goto(url, { waitUntil: "commit" });
    const state = (kind) => page.locator(`section[data-state=${kind}]`).waitFor({ timeout: 30_000 });
    await state("live");
    const said = await page.evaluate(() => window.said);
    // The steps before it are over, as often as not, before there is a page to say it, and the picture comes right behind the
    // end of the handshake.
    assert.ok(said.includes("Finding the way"), said.join("; "));
    await link.set({ down: { delayMs: 20, loss: 0.9 }, up: { delayMs: 20 } });
    await state("stalled");
    await page.getByText("Parts of the picture are getting lost").waitFor({ timeout: 10_000 });
    await link.set({ down: { delayMs: 20 }, up: { delayMs: 20 } });
    await state("live");
  });

  for (const network of cases.filter(({ name }) => short.names.includes(name))) {
    test(network.says, async (t) => {
      if (!scene) return t.skip("no network namespaces");
      const row = await watch(scene, { ...network, joins: 0 }, short.seconds);
      printNetworks([row]);
      for (const word of missed(row)) console.log(`${row.name}: ${word}`);
      assert.equal(row.connections, 1, "peer connections");
      assert.ok(row.pictures > nonsense.pictures, `${row.pictures} of the pictures`);
      assert.ok(row.firstPictureMs < nonsense.firstPictureMs, `first picture ${row.firstPictureMs} ms`);
      assert.ok(row.longestGapMs < nonsense.longestGapMs, `gap of ${row.longestGapMs} ms`);
      assert.ok(row.complete > nonsense.complete, `${row.complete} of the pictures are complete`);
      if (row.lostOnLink > 0) assert.ok(row.nacks > 0 && row.rtx > 0, `${row.nacks} NACKs, ${row.rtx} RTX`);
      else assert.equal(row.lost, 0, "packets lost on a perfect wire");
    });
  }
});
