// Runs inside the page, before anything of the page does: watches what it does and reads the pattern out of its video.
/* global window, document, performance, RTCPeerConnection, WebSocket, HTMLMediaElement, OffscreenCanvas, AudioContext,
   MediaStreamTrackProcessor */

/** Installed with `addInitScript`; must stand on its own. */
export function installProbe() {
  const COLUMNS = 16;
  const ROWS = 5;
  const probe = {
    opened: performance.now(),
    signaling: null,
    socketOpen: null,
    connected: null,
    connections: [],
    frames: [],
    flashes: [],
    beeps: [],
    emitted: [],
    energy: 0,
    video: null,
  };
  window.probe = probe;

  const began = () => (probe.signaling ??= { at: performance.now(), wall: Date.now() });
  window.WebSocket = class extends WebSocket {
    constructor(url, ...rest) {
      const signals = `${url}`.includes("/websocket");
      if (signals) began();
      super(url, ...rest);
      if (signals) this.addEventListener("open", () => (probe.socketOpen ??= performance.now()));
    }
  };
  const { fetch } = window;
  window.fetch = (input, init) => {
    if (`${input?.url ?? input}`.includes("/whep") && init?.method === "POST") began();
    return fetch(input, init);
  };
  const Connection = RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...parameters) {
      super(...parameters);
      // A page that offers begins before it posts.
      probe.connections.push(this);
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") probe.connected ??= performance.now();
      });
    }
  };

  // 16 by 5 squares of the stamp, and one pixel of the flashing area.
  const canvas = new OffscreenCanvas(COLUMNS + 1, ROWS);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingEnabled = false;

  function read(video) {
    const unit = Math.floor(video.videoHeight / 18);
    pen.drawImage(video, unit, unit, COLUMNS * unit, ROWS * unit, 0, 0, COLUMNS, ROWS);
    pen.drawImage(video, 24 * unit, 5 * unit, unit, unit, COLUMNS, 0, 1, 1);
    const { data } = pen.getImageData(0, 0, COLUMNS + 1, ROWS);
    const light = (column, row) => data[4 * (row * (COLUMNS + 1) + column)] > 128;
    let bits = 0n;
    for (let row = 0; row < ROWS; row++) {
      for (let column = 0; column < COLUMNS; column++) bits = (bits << 1n) | (light(column, row) ? 1n : 0n);
    }
    const payload = bits >> 8n;
    let sum = 0x5a;
    for (let shift = 120n; shift >= 0n; shift -= 8n) sum = (sum * 3 + Number((payload >> shift) & 0xffn)) & 0xff;
    const stamp = sum === Number(bits & 0xffn) ? { wallMs: Number(payload >> 24n), number: Number(payload & 0xffffffn) } : null;
    return { stamp, flash: light(COLUMNS, 0) };
  }

  let wasLit = true;
  function watch(video) {
    probe.video = video;
    const onFrame = (now, metadata) => {
      const wall = Date.now();
      const { stamp, flash } = read(video);
      probe.frames.push({ at: now, wall, stamp, rtp: metadata.rtpTimestamp, presented: metadata.presentedFrames, due: performance.timeOrigin + metadata.expectedDisplayTime });
      if (flash && !wasLit) probe.flashes.push(now);
      wasLit = flash;
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    listen(video);
  }

  let context = null;
  function listen(video) {
    const hear = () => {
      const stream = video.srcObject;
      if (!stream || stream.getAudioTracks().length === 0) return void setTimeout(hear, 20);
      context ??= new AudioContext({ latencyHint: "interactive", sampleRate: 48000 });
      const analyser = new window.AnalyserNode(context, { fftSize: 4096 });
      new window.MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      let quietSince = 0;
      setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        // When the sound came out of the peer connection: what this graph and a sound card add is not the server's.
        const end = context.currentTime;
        const now = performance.now();
        for (let index = 0; index < samples.length; index++) {
          const loud = Math.abs(samples[index]) > 0.2;
          const time = end - (samples.length - index) / context.sampleRate;
          if (!loud) continue;
          if (time - quietSince > 0.3) probe.beeps.push(now - (end - time) * 1000);
          quietSince = Math.max(quietSince, time);
        }
        probe.energy = Math.max(probe.energy, ...samples.subarray(0, 256).map(Math.abs));
      }, 10);
    };
    hear();
    const track = () => video.srcObject?.getAudioTracks()[0];
    if ("MediaStreamTrackProcessor" in window) void waitFor(track).then(tap);
  }

  const waitFor = async (find) => {
    while (!find()) await new Promise((done) => setTimeout(done, 20));
    return find();
  };

  /** The same beeps as they leave the peer connection: the graph above holds sound back by a queue of its own. */
  async function tap(track) {
    const reader = new MediaStreamTrackProcessor({ track: track.clone() }).readable.getReader();
    let quietSince = -Infinity;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const data = next.value;
      const now = performance.now();
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      samples.forEach((sample, index) => {
        if (Math.abs(sample) <= 0.2) return;
        const time = now - ((samples.length - index) / data.sampleRate) * 1000;
        if (time - quietSince > 300) probe.emitted.push(time);
        quietSince = Math.max(quietSince, time);
      });
      data.close();
    }
  }

  const { set, get } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  const known = new WeakSet();
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    configurable: true,
    get,
    set(stream) {
      set.call(this, stream);
      if (stream && this.tagName === "VIDEO" && !known.has(this)) {
        known.add(this);
        watch(this);
      }
    },
  });
}

/** Evaluated in the page: how long pictures and sound are being held back, on average over so many milliseconds. */
export async function heldBack(overMs) {
  const look = async () => {
    const seen = {};
    const connection = window.probe.connections.findLast((one) => one.connectionState === "connected");
    for (const entry of (await connection.getStats()).values()) {
      if (entry.type === "inbound-rtp") seen[entry.kind] = entry;
    }
    return seen;
  };
  const before = await look();
  await new Promise((done) => setTimeout(done, overMs));
  const after = await look();
  const average = (kind) => {
    const change = (name) => after[kind][name] - before[kind][name];
    return (change("jitterBufferDelay") / change("jitterBufferEmittedCount")) * 1000;
  };
  const { freezeCount, framesDropped } = after.video;
  return { videoMs: average("video"), audioMs: average("audio"), freezes: freezeCount, dropped: framesDropped };
}

/** Evaluated in the page at the end: everything the probe saw, and the connection's own statistics. */
export async function collect() {
  const { probe } = window;
  const inbound = { video: null, audio: null };
  for (const connection of probe.connections) {
    if (connection.connectionState === "closed") continue;
    for (const entry of (await connection.getStats()).values()) {
      if (entry.type === "inbound-rtp") inbound[entry.kind] = { ...entry };
    }
  }
  const { opened, signaling, socketOpen, connected, connections, frames, flashes, beeps, emitted, energy, video } = probe;
  return {
    opened,
    signaling,
    socketOpen,
    connected,
    connections: connections.length,
    frames,
    flashes,
    beeps,
    emitted,
    energy,
    inbound,
    size: video ? [video.videoWidth, video.videoHeight] : null,
    text: document.body.innerText,
  };
}
