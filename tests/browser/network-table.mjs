// Every case of networks.mjs (or those named), as a table and as figures for docs/bad-networks.md.
//
//   HELIOGRAPH_PROFILE=release npm run network [-- loss-5 outage]
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { missed, printNetworks, startScene, watch } from "./network.mjs";
import { cases, full } from "./networks.mjs";

const PAGE = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "docs", "bad-networks.md");
const FROM = "<!-- figures: npm run network -->";
const TO = "<!-- end of figures -->";

const names = process.argv.slice(2);
const wanted = cases.filter(({ name }) => names.length === 0 || names.includes(name));
const rows = [];
for (const uplink of [false, true]) {
  const here = wanted.filter((network) => Boolean(network.uplink) === uplink);
  if (here.length === 0) continue;
  const scene = await startScene({ uplink });
  if (!scene) process.exit(1);
  try {
    for (const network of here) {
      rows.push(await watch(scene, network, full.seconds));
      printNetworks([rows.at(-1)]);
    }
  } finally {
    await scene.close();
  }
}
printNetworks(rows);
for (const row of rows) for (const word of missed(row)) console.log(`${row.name}: ${word}`);
// A part of the cases is for looking at; the page is written by all of them.
if (names.length === 0) writeFileSync(PAGE, withFigures(readFileSync(PAGE, "utf8"), rows));

function withFigures(text, rows) {
  const [before, rest] = text.split(FROM);
  const after = rest.split(TO)[1];
  const ms = (value) => (Number.isFinite(value) ? `${Math.round(value)} ms` : "");
  const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : "");
  const lines = rows.map((row) => {
    const end = Number.isFinite(row.backAfterMs) ? `back after ${ms(row.backAfterMs)}, settled after ${ms(row.settledAfterMs)}` : "";
    const cells = [row.says, row.freezes, ms(row.longestGapMs), ms(row.firstPictureMs), `${ms(row.delayMs)}, ${ms(row.endDelayMs)}`, percent(row.complete)];
    return `| ${[...cells, row.lostOnLink, row.nacks, row.rtx, end].join(" | ")} |`;
  });
  const head = [
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} x ${cpus()[0].model}, Linux ${release()}, ${full.seconds} s each:`,
    "",
    "| network | freezes | longest gap | first picture | delay, at first and at the end | complete pictures | lost on the link | NACKs | RTX | after the change |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ];
  return `${before}${FROM}\n${[...head, ...lines].join("\n")}\n${TO}${after}`;
}
