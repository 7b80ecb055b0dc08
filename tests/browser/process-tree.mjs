// The processes of a browser, for those that put it to sleep or take processor time away from it. Linux only.
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Why not, where it cannot be done. */
export const skipped = !existsSync("/proc/self/stat") && "processes are looked at by means of /proc";

/** Each process here and its parent. */
function parents() {
  const found = new Map();
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // The program's name stands in brackets and may hold anything.
      const [, parent] = readFileSync(`/proc/${name}/stat`, "utf8").replace(/.*\) /s, "").split(" ");
      found.set(Number(name), Number(parent));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

const children = (pid, known = parents()) => [...known].flatMap(([child, parent]) => (parent === pid ? [child] : []));

/** A process and all that it has begun, the oldest first. */
export function tree(pid, known = parents()) {
  return [pid, ...children(pid, known).flatMap((child) => tree(child, known))];
}

/** What `begin` gives, and the id of the process that it has begun. */
export async function withPid(begin) {
  const before = children(process.pid);
  const begun = await begin();
  const [pid] = children(process.pid).filter((child) => !before.includes(child));
  return [begun, pid];
}

/** A process's threads by id, with the names that they gave themselves. */
export function threads(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((id) => {
    try {
      return [{ id, name: readFileSync(`/proc/${pid}/task/${id}/comm`, "utf8").trim() }];
    } catch {
      return [];
    }
  });
}
