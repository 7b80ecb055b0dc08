// A publisher over Enhanced RTMP (Veovera v1), since ffmpeg of Debian 12 has none yet: ffmpeg encodes, this sends.
import { spawnSync } from "node:child_process";
import { connect } from "node:net";

export const FPS = 25;
const SECONDS = 4;
const INPUT = `-f lavfi -i testsrc2=size=640x360:rate=${FPS} -t ${SECONDS} -pix_fmt yuv420p`;
const ENCODERS = {
  h265: `-c:v libx265 -preset ultrafast -tune zerolatency -x265-params log-level=error:keyint=${FPS}:min-keyint=${FPS}:bframes=0:aud=1:repeat-headers=1 -b:v 800k -f hevc`,
  av1: `-c:v libaom-av1 -usage realtime -cpu-used 8 -g ${FPS} -keyint_min ${FPS} -lag-in-frames 0 -b:v 800k -f obu`,
};

/** A few seconds of pictures: `{ configuration, pictures: [{ key, data }] }`, as FLV has them. */
export function encode(codec) {
  const words = ["-v", "error", ...INPUT.split(" "), ...ENCODERS[codec].split(" "), "-"];
  const made = spawnSync("ffmpeg", words, { maxBuffer: 64 << 20, timeout: 60_000 });
  if (made.status !== 0) throw new Error(`ffmpeg: ${made.stderr}`);
  return codec === "h265" ? hevc(made.stdout) : av1(made.stdout);
}

function hevc(stream) {
  const units = [];
  // Start codes have three or four bytes; a zero in front belongs to the next one.
  for (let at = stream.indexOf("\0\0\x01", 0, "latin1"); at >= 0; ) {
    const next = stream.indexOf("\0\0\x01", at + 3, "latin1");
    let unit = stream.subarray(at + 3, next < 0 ? undefined : next);
    while (unit.at(-1) === 0) unit = unit.subarray(0, -1);
    units.push(unit);
    at = next;
  }
  const type = (unit) => (unit[0] >> 1) & 0x3f;
  const sets = [32, 33, 34].map((wanted) => units.find((unit) => type(unit) === wanted));
  const arrays = sets.map((set, at) => Buffer.concat([Buffer.from([0xa0 + at, 0, 1, set.length >> 8, set.length & 0xff]), set]));
  const configuration = Buffer.concat([Buffer.from([1, ...Array(20).fill(0), 3, 3]), ...arrays]);
  const pictures = [];
  for (const unit of units) {
    if (type(unit) === 35) pictures.push([]);
    else if (type(unit) < 32) pictures.at(-1).push(unit);
  }
  return {
    letters: "hvc1",
    timed: true,
    configuration,
    pictures: pictures.map((slices) => ({
      key: slices.some((unit) => type(unit) >= 16),
      data: Buffer.concat(slices.flatMap((unit) => [number(unit.length, 4), unit])),
    })),
  };
}

function av1(stream) {
  const pictures = [];
  let sequence = null;
  for (let at = 0; at < stream.length; ) {
    const header = stream[at];
    let length = 0;
    let behind = at + 1 + ((header >> 2) & 1);
    for (let shift = 0; ; shift += 7) {
      const byte = stream[behind++];
      length |= (byte & 0x7f) << shift;
      if (!(byte & 0x80)) break;
    }
    const obu = stream.subarray(at, behind + length);
    const type = (header >> 3) & 15;
    if (type === 2) pictures.push({ key: false, parts: [] });
    else if (type === 1) {
      sequence = obu;
      // Only in front: FLV has it in the configuration.
      pictures.at(-1).key = true;
    } else pictures.at(-1).parts.push(obu);
    at = behind + length;
  }
  return {
    letters: "av01",
    timed: false,
    configuration: Buffer.concat([Buffer.from([0x81, 0, 0x0c, 0]), sequence]),
    pictures: pictures.map(({ key, parts }) => ({ key, data: Buffer.concat(parts) })),
  };
}

const number = (value, bytes) => Buffer.from(Array.from({ length: bytes }, (_, at) => (value / 2 ** (8 * (bytes - 1 - at))) & 0xff));
const text = (value) => Buffer.concat([Buffer.from([2]), number(value.length, 2), Buffer.from(value)]);
const amfNumber = (value) => {
  const bytes = Buffer.alloc(9);
  bytes.writeDoubleBE(value, 1);
  return bytes;
};
const CHUNK = 1 << 20;

/** One message in one chunk. */
function message(stream, type, timeMs, body) {
  return Buffer.concat([Buffer.from([stream]), number(timeMs, 3), number(body.length, 3), Buffer.from([type, 1, 0, 0, 0]), body]);
}

/** Publishes the pictures in a loop until `stop` is called; rejects when the server hangs up before. */
export async function publishEnhanced(port, key, { letters, timed, configuration, pictures }) {
  const socket = connect(port, "127.0.0.1");
  let heard = Buffer.alloc(0);
  let wake = () => {};
  socket.on("data", (data) => {
    heard = Buffer.concat([heard, data]);
    wake();
  });
  let over = null;
  socket.on("error", (error) => (over = error));
  socket.on("close", () => {
    over ??= new Error(`the server hung up: ${heard.subarray(-300).toString("latin1")}`);
    wake();
  });
  const until = async (true_) => {
    while (!true_()) {
      if (over) throw over;
      await new Promise((done) => (wake = done));
    }
  };
  socket.write(Buffer.concat([Buffer.from([3]), Buffer.alloc(1536)]));
  await until(() => heard.length >= 1 + 2 * 1536);
  socket.write(heard.subarray(1, 1537));
  const app = Buffer.concat([Buffer.from([3, 0, 3]), Buffer.from("app"), text("live"), Buffer.from([0, 0, 9])]);
  socket.write(message(2, 1, 0, number(CHUNK, 4)));
  socket.write(message(3, 20, 0, Buffer.concat([text("connect"), amfNumber(1), app])));
  socket.write(message(3, 20, 0, Buffer.concat([text("publish"), amfNumber(2), Buffer.from([5]), text(key), text("live")])));
  await until(() => heard.includes("NetStream.Publish.Start"));

  const tag = (key_, kind, body) => Buffer.concat([Buffer.from([0x80 | ((key_ ? 1 : 2) << 4) | kind]), Buffer.from(letters), body]);
  const began = Date.now();
  let sent = 0;
  socket.write(message(4, 9, 0, tag(true, 0, configuration)));
  const timer = setInterval(() => {
    for (; !over && (sent * 1000) / FPS <= Date.now() - began; sent += 1) {
      const { key: isKey, data } = pictures[sent % pictures.length];
      const body = timed ? Buffer.concat([number(0, 3), data]) : data;
      socket.write(message(4, 9, Math.round((sent * 1000) / FPS), tag(isKey, 1, body)));
    }
  }, 10);
  return {
    problem: () => over,
    stop: () => {
      clearInterval(timer);
      socket.destroy();
    },
  };
}
