// The server and the publisher as child processes; each is ended by its own id.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, openSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const profile = process.env.HELIOGRAPH_PROFILE ?? "debug";

/** Where programs run: on this machine, or in a namespace of the link emulator (`link.mjs`). */
export const here = {
  host: "127.0.0.1",
  /** Where a server listens, when that is more than the host by which it is reached. */
  listen: undefined,
  /** The command line that runs a program there. */
  command: (path, args) => [path, args],
  /** The body that a URL has there; null when nobody answers well. */
  get: (url) => fetch(url).then((answer) => (answer.ok ? answer.text() : null), () => null),
};

/** The path of a program, built now unless the variable names it. */
function program(variable, pack, name) {
  const given = process.env[variable];
  if (given) return given;
  const flags = ["build", "--quiet", "--package", pack, "--bin", name];
  if (profile === "release") flags.push("--release");
  const built = spawnSync("cargo", flags, { cwd: root, stdio: "inherit" });
  if (built.status !== 0) throw new Error(`${name} does not build`);
  return join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), profile, name);
}

export const programs = () => ({
  server: program("HELIOGRAPH_BIN", "heliograph", "heliograph"),
  publisher: program("PATTERN_PUBLISHER_BIN", "heliograph-tests", "pattern-publisher"),
});

/** The link emulator; only bad-network tests need it. */
export const linkEmulator = () => program("LINK_EMULATOR_BIN", "heliograph-tests", "link-emulator");

/** A run of ports that are free right now, below the system's ephemeral range. */
async function freePorts(count) {
  const free = (port) =>
    new Promise((done) => {
      const probe = createServer();
      probe.once("error", () => done(false));
      probe.listen(port, here.host, () => probe.close(() => done(true)));
    });
  for (let base = 20_000 + (process.pid % 60) * 100; base < 32_000; base += 100) {
    const run = await Promise.all(Array.from({ length: count }, (_, index) => free(base + index)));
    if (run.every(Boolean)) return base;
  }
  throw new Error("no free ports");
}

const range = (first, count) => `${first}-${first + count - 1}`;

/** Starts a child; `stop` ends it and waits. */
export function start(place, path, args, stdio) {
  const child = spawn(...place.command(path, args), { stdio, env: clean(process.env) });
  const ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
    const outcome = await ended;
    clearTimeout(late);
    return outcome;
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return { child, ended, stop, kill };
}

/** The environment without settings of a server that somebody runs here. */
function clean(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^(HELIOGRAPH_|LS_|AUTH_WS_URL)/.test(name)));
}

/** A server with the given channels. `flags`: settings beyond those that keep servers apart, or what makes them of a free port. */
export async function startServer(path, channels, place = here, flags = []) {
  const folder = mkdtempSync(join(tmpdir(), "heliograph-browser-"));
  const keys = join(folder, "keys.toml");
  const entries = channels.map((name, index) => ({ name, id: 500 + 10 * index, secret: `secretOf${name}` }));
  const toml = entries.map(({ name, id, secret }) => `[[channel]]\nid = ${id}\nname = "${name}"\nsecret = "${secret}"\n`);
  writeFileSync(keys, toml.join("\n"), { mode: 0o600 });
  const base = await freePorts(60);
  const log = join(folder, "server.log");
  const out = openSync(log, "w");
  const args = ["serve", "--addr", place.listen ?? place.host, "--data", join(folder, "data"), "--keys", keys];
  args.push("--ws-port", `${base}`, "--control", `127.0.0.1:${base + 1}`, "--ftl-port", `${base + 2}`);
  args.push("--rtmp-port", `${base + 3}`, "--whip-port", `${base + 4}`, "--srt-port", `${base + 5}`, "--media-ports", range(base + 10, 10));
  args.push("--rtp-ports", range(base + 30, 10), "--ports", range(base + 50, 10));
  args.push(...(typeof flags === "function" ? flags(base + 6) : flags));
  const url = `http://${place.host}:${base}`;
  const readLog = () => readFileSync(log, "utf8");
  const run = async () => {
    const process = start(place, path, args, ["ignore", out, out]);
    let gone = null;
    void process.ended.then((outcome) => (gone = outcome));
    for (const limit = Date.now() + 20_000; ; ) {
      if (gone) throw new Error(`the server did not start: ${JSON.stringify(gone)}\n${readLog()}`);
      if ((await place.get(`${url}/healthz`)) !== null) return process;
      if (Date.now() > limit) throw new Error(`the server does not answer\n${readLog()}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  let server = await run();
  return {
    url,
    host: place.host,
    get pid() {
      return server.child.pid;
    },
    /** Stands still, as a machine does that is overloaded or cut off; `true`: goes on. */
    freeze: (on) => server.child.kill(on ? "SIGSTOP" : "SIGCONT"),
    /** Ends and starts again at the same addresses. */
    restart: async (meanwhile = async () => {}) => {
      await server.stop();
      await meanwhile();
      server = await run();
    },
    /** A process for publishers alone, with RTMP over TLS. */
    startIngest: () => startIngest(path, { folder, keys, base, out, place }),
    ftlPort: base + 2,
    rtmpPort: base + 3,
    sparePort: base + 6,
    rtmpsPort: base + 20,
    srtPort: base + 5,
    key: (name) => entries.filter((entry) => entry.name === name).map(({ id, secret }) => `${id}-${secret}`)[0],
    log: readLog,
    streams: async () => JSON.parse(await place.get(`${url}/streams`)).streams,
    stop: async () => {
      const outcome = await server.stop();
      rmSync(folder, { recursive: true, force: true });
      return outcome;
    },
  };
}

async function startIngest(path, { folder, keys, base, out, place }) {
  const [certificate, key] = ["cert.pem", "key.pem"].map((name) => join(folder, name));
  const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost -keyout";
  execFileSync("openssl", [...words.split(" "), key, "-out", certificate], { stdio: "ignore" });
  const args = ["ingest", "--data", join(folder, "data"), "--keys", keys, "--relay-url", `http://127.0.0.1:${base + 1}`];
  args.push("--ssl-cert", certificate, "--ssl-key", key, "--rtmps-port", `${base + 20}`, "--control", `127.0.0.1:${base + 21}`);
  args.push("--ftl-port", `${base + 22}`, "--rtmp-port", `${base + 23}`, "--srt-port", `${base + 24}`, "--whip-port", `${base + 25}`);
  args.push("--whip-http-port", `${base + 26}`, "--media-ports", range(base + 40, 10));
  const ingest = start(place, path, args, ["ignore", out, out]);
  const answers = () =>
    new Promise((done) => {
      const probe = connect(base + 20, place.host, () => {
        probe.destroy();
        done(true);
      });
      probe.once("error", () => done(false));
    });
  for (const limit = Date.now() + 20_000; !(await answers()); ) {
    if (Date.now() > limit) throw new Error("the publishers' side does not open its door");
    await new Promise((done) => setTimeout(done, 50));
  }
  return ingest;
}

/** A publisher of the pattern; `phase` waits for a moment within a keyframe interval. */
export async function startPublisher(path, server, channel, { keyint = 60, fps = 30, width = 1280, height = 720, interleave = false, door = "ftl", program = "ffmpeg", bitrate = 2500, grain = 0, place = here } = {}) {
  const args = ["--to", server.host, "--port", `${server.ftlPort}`, "--key", server.key(channel), "--keyint", `${keyint}`];
  args.push("--fps", `${fps}`, "--width", `${width}`, "--height", `${height}`, "--bitrate", `${bitrate}`, "--grain", `${grain}`);
  if (interleave) args.push("--interleave");
  if (door === "rtmp") args.push("--through", `rtmp://${server.host}:${server.rtmpPort}/live/${server.key(channel)}`);
  if (door === "rtmps") args.push("--through", `rtmps://${server.host}:${server.rtmpsPort}/live/${server.key(channel)}`);
  if (door === "rtp") args.push("--through", `rtp://${server.host}:${server.sparePort}`);
  if (door === "srt") args.push("--through", `srt://${server.host}:${server.srtPort}?streamid=${server.key(channel)}`);
  if (door === "whip") args.push("--through", `${server.url}/whip/${channel}`);
  if (door !== "ftl") args.push("--program", program);
  const publisher = start(place, path, args, ["ignore", "pipe", "inherit"]);
  const facts = {};
  await new Promise((live, failed) => {
    createInterface({ input: publisher.child.stdout }).on("line", (line) => {
      const message = JSON.parse(line);
      Object.assign(facts, message);
      if (message.event === "live") live();
    });
    void publisher.ended.then((outcome) => failed(new Error(`the publisher ended: ${JSON.stringify(outcome)}`)));
  });
  const { startMs, keyframeIntervalMs } = facts;
  const phaseAt = (wallMs) => ((wallMs - startMs) % keyframeIntervalMs) / keyframeIntervalMs;
  return {
    keyframeIntervalMs,
    height,
    phaseAt,
    /** Waits until this share of an interval is over, less a lead. */
    phase: async (share, leadMs) => {
      const ahead = (share - phaseAt(Date.now()) + 1) % 1;
      let wait = ahead * keyframeIntervalMs - leadMs;
      if (wait < 0) wait += keyframeIntervalMs;
      await new Promise((done) => setTimeout(done, wait));
    },
    stop: publisher.stop,
    kill: publisher.kill,
  };
}
