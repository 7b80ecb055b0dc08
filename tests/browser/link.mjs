// A bad network: the link emulator, and programs on either side of it.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { chromiumPath } from "./browser.mjs";
import { here, start } from "./processes.mjs";

/** Starts the emulator; null, with the reason printed, where network namespaces are not permitted. */
export async function startLink(path, { seed = 1, record } = {}) {
  const emulator = start(here, path, ["--seed", `${seed}`, ...(record ? ["--record", record] : [])], ["pipe", "pipe", "inherit"]);
  const waiting = [];
  createInterface({ input: emulator.child.stdout }).on("line", (line) => waiting.shift()?.(JSON.parse(line)));
  const answer = () =>
    new Promise((done, failed) => {
      waiting.push(done);
      void emulator.ended.then((outcome) => failed(new Error(`the link emulator ended: ${JSON.stringify(outcome)}`)));
    });
  const order = async (what) => {
    const answered = answer();
    emulator.child.stdin.write(`${JSON.stringify(what)}\n`);
    const said = await answered;
    if (said.event === "error") throw new Error(`the link emulator refused: ${said.reason}`);
    return said;
  };

  const ready = await answer();
  if (ready.event !== "ready") {
    console.log(`no bad networks here: ${ready.reason}`);
    return null;
  }
  return {
    server: inside(ready.server),
    viewer: inside(ready.viewer),
    /** Sets one way or both: `down` is from the server to the viewer. Anything left out is perfect. */
    set: (conditions) => order({ do: "set", ...conditions }),
    counts: () => order({ do: "counts" }),
    stop: async () => {
      emulator.child.stdin.end();
      await emulator.stop();
    },
  };
}

/** A place for programs, as `here` is. */
function inside({ netns, address }) {
  const command = (path, args) => ["nsenter", [`--net=${netns}`, path, ...args]];
  const run = (path, args) =>
    new Promise((done, failed) => {
      execFile(...command(path, args), (error, text) => (error ? failed(error) : done(text)));
    });
  const folder = mkdtempSync(join(tmpdir(), "heliograph-link-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return {
    host: address,
    command,
    run,
    get: (url) => run(process.execPath, ["--input-type=module", "-e", GET, url]).catch(() => null),
    /** A path to give to Playwright: Chromium, but there. It is spoken to over pipes, which pass through. */
    chromium: () => {
      const wrapper = join(folder, "chromium");
      writeFileSync(wrapper, `#!/bin/sh\nexec nsenter --net=${netns} ${chromiumPath()} "$@"\n`, { mode: 0o700 });
      return wrapper;
    },
  };
}

const GET = `
  const answer = await fetch(process.argv[1]);
  if (!answer.ok) process.exit(1);
  process.stdout.write(await answer.text());
`;
