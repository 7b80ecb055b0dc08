// Fails the build when the first load of the page grows beyond its budget.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET_BYTES = 120_000;

const dist = new URL("../dist/", import.meta.url);
const page = readFileSync(new URL("index.html", dist), "utf8");
const parts = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map((match) => match[1]);
if (parts.length === 0) throw new Error("no scripts found in dist/index.html");

let total = 0;
for (const part of new Set(parts)) {
  const size = gzipSync(readFileSync(new URL(part, dist))).length;
  total += size;
  console.log(`${(size / 1000).toFixed(1).padStart(7)} kB  ${part}`);
}
console.log(`${(total / 1000).toFixed(1).padStart(7)} kB  first load, compressed (budget ${BUDGET_BYTES / 1000} kB)`);
if (total > BUDGET_BYTES) process.exit(1);
