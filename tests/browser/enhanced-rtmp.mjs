// A publisher over Enhanced RTMP: PyAV with FFmpeg 8, since Debian's ffmpeg has none of it yet.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const PYTHON = path("../../target/pyav/bin/python");
const PUBLISHER = path("../support/pyav_publisher.py");

/** Publishes moving pictures and a tone, by FFmpeg's names for the encoders, until `stop` is called. */
export function publishEnhanced(port, key, video, audio) {
  if (!existsSync(PYTHON)) throw new Error("PyAV is needed for this: scripts/pyav.sh installs it");
  const child = spawn(PYTHON, [PUBLISHER, "flv", `rtmp://127.0.0.1:${port}/live/${key}`, video, audio], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const ended = new Promise((done) => child.on("exit", done));
  return {
    /** Why it gave up, if it has. */
    problem: () => (child.exitCode === null ? null : `${child.exitCode}: ${said}`),
    stop: async () => {
      child.kill("SIGINT");
      await ended;
    },
  };
}
