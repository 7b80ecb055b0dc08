// An ingest of somebody else's: it asks the relay for a port and sends RTP there, from outside of the server's process.
import { createSocket } from "node:dgram";

const HEADER = 12;
/** One frame of 20 ms in which nothing is to be heard. */
const SILENCE = Buffer.from([0xfc, 0xff, 0xfe]);
const FRAME_MS = 20;
/** A slice of a picture: filled up to what fits into a datagram. */
const SLICE = Buffer.concat([Buffer.from([0x41]), Buffer.alloc(1_180, 0x55)]);

/** A sender of one RTP stream: `next(payload)` is its next packet. */
function sender(type, ssrc, ticks) {
  let count = 0;
  return (payload) => {
    const packet = Buffer.alloc(HEADER + payload.length);
    packet.writeUInt8(0x80, 0);
    packet.writeUInt8(type, 1);
    packet.writeUInt16BE(count & 0xffff, 2);
    packet.writeUInt32BE(count * ticks, 4);
    packet.writeUInt32BE(ssrc, 8);
    payload.copy(packet, HEADER);
    count += 1;
    return packet;
  };
}

/** Sends sound to a channel until it is stopped; `burst` sends so many packets of pictures at once. */
export async function startOutside(server, channel) {
  const control = server.url.replace(/\d+$/, (port) => `${Number(port) + 1}`);
  const body = JSON.stringify({ channel });
  const answer = await fetch(`${control}/stream`, { method: "POST", body, headers: { "content-type": "application/json" } });
  const { port } = await answer.json();
  const socket = createSocket("udp4");
  const send = (packet) => new Promise((done, failed) => socket.send(packet, port, server.host, (error) => (error ? failed(error) : done())));
  const sound = sender(97, 1, 960);
  const picture = sender(96, 2, 0);
  const timer = setInterval(() => void send(sound(SILENCE)).catch(() => undefined), FRAME_MS);
  return {
    burst: async (packets) => {
      for (let sent = 0; sent < packets; sent += 1) await send(picture(SLICE));
    },
    stop: () => {
      clearInterval(timer);
      socket.close();
    },
  };
}
