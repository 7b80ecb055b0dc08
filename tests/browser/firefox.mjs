// The system's Firefox, driven over WebDriver BiDi. Playwright speaks it, too, but only with newer ones than Debian has.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { ws as WebSocket } from "playwright-core/lib/utilsBundle";

const CANDIDATES = ["/usr/bin/firefox-esr", "/usr/bin/firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"];
const PATIENCE_MS = 15_000;

/** Null: there is none. */
export const firefoxPath = () => process.env.FIREFOX ?? CANDIDATES.find((path) => existsSync(path)) ?? null;

/** What every Firefox here is told: nothing on the way to anywhere but this machine. */
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutConfig.showWarning": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.update.enabled": false,
  "fission.webContentIsolationStrategy": 0,
  "media.gmp-manager.updateEnabled": false,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "remote.active-protocols": 1,
  "services.settings.server": "data:,",
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** Starts one; `preferences`: more of them, for this browser. */
export async function launchFirefox(preferences = {}) {
  const folder = mkdtempSync(join(tmpdir(), "heliograph-firefox-"));
  const lines = Object.entries({ ...PREFERENCES, ...preferences });
  writeFileSync(join(folder, "user.js"), lines.map((line) => `user_pref(${line.map((part) => JSON.stringify(part)).join(", ")});\n`).join(""));
  const child = spawn(firefoxPath(), ["--headless", "--no-remote", "--remote-debugging-port=0", "--profile", folder], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1" },
  });
  const ended = new Promise((done) => child.once("exit", done));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(late);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const address = await new Promise((found, failed) => {
      setTimeout(() => failed(new Error("Firefox does not start")), 30_000).unref();
      createInterface({ input: child.stderr }).on("line", (line) => {
        const [, url] = /WebDriver BiDi listening on (\S+)/.exec(line) ?? [];
        if (url) found(url);
      });
      void ended.then((code) => failed(new Error(`Firefox ended: ${code}`)));
    });
    const session = await connect(`${address}/session`);
    await session.send("session.new", { capabilities: {} });
    await session.send("session.subscribe", { events: ["log.entryAdded"] });
    return {
      newPage: (options) => openPage(session, options),
      close: async () => {
        await session.send("browser.close").catch(() => undefined);
        session.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A connection over which commands are answered by number, and events come in between. */
async function connect(url) {
  const socket = new WebSocket(url);
  const waiting = new Map();
  const listeners = new Set();
  let last = 0;
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.type === "event") return void listeners.forEach((listener) => listener(message));
    const { resolve, reject, method } = waiting.get(message.id) ?? {};
    waiting.delete(message.id);
    if (message.type === "success") resolve?.(message.result);
    else reject?.(new Error(`${method}: ${message.error}: ${message.message}`));
  });
  socket.on("close", () => waiting.forEach(({ reject, method }) => reject(new Error(`${method}: Firefox is gone`))));
  await new Promise((done, failed) => socket.once("open", done).once("error", failed));
  return {
    send: (method, params = {}) =>
      new Promise((resolve, reject) => {
        waiting.set(++last, { resolve, reject, method });
        socket.send(JSON.stringify({ id: last, method, params }));
      }),
    listen: (listener) => listeners.add(listener),
    close: () => socket.close(),
  };
}

/** A window with storage of its own. `init` runs in it before anything of the page does. */
async function openPage(session, { init, width = 1280, height = 800 } = {}) {
  const { userContext } = await session.send("browser.createUserContext");
  const { context } = await session.send("browsingContext.create", { type: "window", userContext });
  const errors = [];
  session.listen(({ method, params }) => {
    if (method === "log.entryAdded" && params.type === "javascript" && params.level === "error" && params.source.context === context) {
      errors.push(params.text);
    }
  });
  await session.send("browsingContext.setViewport", { context, viewport: { width, height } });
  if (init) await session.send("script.addPreloadScript", { functionDeclaration: `${init}`, contexts: [context] });

  /** What a function of JSON gives there. It is no gesture of a user, so that nothing starts to play which otherwise would not. */
  const evaluate = async (work, ...values) => {
    const call = `async () => JSON.stringify(await (${work})(...${JSON.stringify(values)}))`;
    const target = { context };
    const answer = await session.send("script.callFunction", { functionDeclaration: call, target, awaitPromise: true, userActivation: false });
    if (answer.type === "exception") throw new Error(answer.exceptionDetails.text);
    return answer.result.value === undefined ? undefined : JSON.parse(answer.result.value);
  };
  const until = async (work, ...values) => {
    for (const limit = Date.now() + PATIENCE_MS; ; ) {
      const found = await evaluate(work, ...values);
      if (found) return found;
      if (Date.now() > limit) {
        const text = await evaluate(() => document.body.innerText);
        throw new Error(`never came: ${work} ${JSON.stringify(values)}\nthe page says: ${text}\nits errors: ${errors.join("\n")}`);
      }
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  const perform = (id, type, actions, parameters) =>
    session.send("input.performActions", { context, actions: [{ id, type, actions, ...(parameters && { parameters }) }] });
  return {
    evaluate,
    until,
    errors,
    goto: (url) => session.send("browsingContext.navigate", { context, url, wait: "interactive" }),
    /** Until a player is in this state. */
    state: (kind) => until((kind) => document.querySelector(`section[data-state="${kind}"]`) !== null, kind),
    /** Until these words can be read. */
    says: (words) => until((words) => document.body.innerText.includes(words), words),
    /** A click with the mouse, as a user's. */
    click: async (words) => {
      const find = (words) => {
        const named = (element) => [element.textContent.trim(), element.firstElementChild?.textContent, element.getAttribute("aria-label"), element.title].includes(words);
        const element = [...document.querySelectorAll("button, a, summary, input, [role=menuitemradio]")].find(named);
        element?.scrollIntoView({ block: "center" });
        const box = element?.getBoundingClientRect();
        return box && box.width > 0 && { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
      };
      const at = await until(find, words);
      await perform("mouse", "pointer", [{ type: "pointerMove", ...at }, { type: "pointerDown", button: 0 }, { type: "pointerUp", button: 0 }]);
    },
    type: (text) => perform("keys", "key", [...text].flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }])),
    resize: (width, height) => session.send("browsingContext.setViewport", { context, viewport: { width, height } }),
    screenshot: async (path) => {
      const { data } = await session.send("browsingContext.captureScreenshot", { context });
      writeFileSync(path, Buffer.from(data, "base64"));
    },
    close: () => session.send("browsingContext.close", { context }).catch(() => undefined),
  };
}
