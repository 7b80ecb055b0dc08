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
