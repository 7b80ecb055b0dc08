// Runs inside a page: publishes the (fake) camera and microphone over WHIP, with a clock drawn into the picture as
// `pattern-publisher` does.
/* global document, performance, navigator, window, RTCPeerConnection, RTCRtpSender, MediaStream, fetch */

/**
 * Evaluated in the page. `layers`: as in `sendEncodings`, instead of one encoding. Resolves when the connection stands;
 * `window.publishing` shows how it goes.
 */
export async function publishCamera({ url, key, codec, width, height, fps, maxBitrate, layers }) {
  const COLUMNS = 16;
  const ROWS = 5;
  const camera = await navigator.mediaDevices.getUserMedia({ video: { width, height, frameRate: fps }, audio: true });
  const source = document.createElement("video");
  source.muted = true;
  source.srcObject = new MediaStream(camera.getVideoTracks());
  await source.play();

  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d", { alpha: false });
  const unit = Math.floor(height / 18);
  let number = 0;
  const draw = () => {
    const wallMs = Date.now();
    pen.drawImage(source, 0, 0, width, height);
    let payload = (BigInt(wallMs) << 24n) | BigInt(number++ & 0xffffff);
    let sum = 0x5a;
    for (let shift = 120n; shift >= 0n; shift -= 8n) sum = (sum * 3 + Number((payload >> shift) & 0xffn)) & 0xff;
    payload = (payload << 8n) | BigInt(sum);
    for (let at = 0; at < COLUMNS * ROWS; at++) {
      pen.fillStyle = (payload >> BigInt(COLUMNS * ROWS - 1 - at)) & 1n ? "white" : "black";
      pen.fillRect(unit * (1 + (at % COLUMNS)), unit * (1 + Math.floor(at / COLUMNS)), unit, unit);
    }
    // Not tied to the display: nobody looks at this page.
    setTimeout(draw, 1000 / fps);
  };
  draw();

  const stream = canvas.captureStream(fps);
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const { sender } = connection.addTransceiver(camera.getAudioTracks()[0], { direction: "sendonly", streams: [stream] });
  const video = connection.addTransceiver(stream.getVideoTracks()[0], {
    direction: "sendonly",
    streams: [stream],
    sendEncodings: layers ?? [{ maxBitrate }],
  });
  if (codec) {
    const { codecs } = RTCRtpSender.getCapabilities("video");
    video.setCodecPreferences(codecs.filter(({ mimeType }) => [`video/${codec}`, "video/rtx"].includes(mimeType)));
  }
  await connection.setLocalDescription();
  const headers = { "content-type": "application/sdp", authorization: `Bearer ${key}` };
  const began = performance.now();
  const answer = await fetch(url, { method: "POST", headers, body: connection.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
  await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  while (connection.connectionState !== "connected") {
    if (connection.connectionState === "failed" || performance.now() - began > 10_000) throw new Error(connection.connectionState);
    await new Promise((done) => setTimeout(done, 5));
  }
  const resource = new URL(answer.headers.get("location"), url);
  window.publishing = {
    connectedMs: performance.now() - began,
    stop: () => fetch(resource, { method: "DELETE" }).then(({ status }) => status),
    stats: async () => {
      const sent = {};
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type === "outbound-rtp") sent[entry.kind] = { ...entry };
        if (entry.type === "remote-inbound-rtp") sent[`${entry.kind}Remote`] = { ...entry };
        if (entry.type === "candidate-pair" && entry.nominated) sent.available = entry.availableOutgoingBitrate;
      }
      return { ...sent, state: connection.connectionState, senders: [sender.track.kind, video.sender.track.kind] };
    },
  };
  return window.publishing.connectedMs;
}
