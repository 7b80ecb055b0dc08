// What the link emulator recorded (`--record`), as words: which packet of a visit this is.
import { readFileSync } from "node:fs";

/** All packets of a record, in order: `at` in milliseconds since 1970. */
export function readRecord(path) {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [at, way, fate, length, hex = ""] = line.split(" ");
    return { at: Number(at) / 1000, way, lost: fate === "lost", length: Number(length), says: describe(Buffer.from(hex, "hex"), Number(length)) };
  });
}

const UDP = 17;
const TCP = 6;

function describe(packet, length) {
  if (packet.length < 20 || packet[0] >> 4 !== 4) return "other";
  const header = (packet[0] & 15) * 4;
  const inside = packet.subarray(header);
  if (packet[9] === UDP) return datagram(inside.subarray(8), length - header - 8);
  if (packet[9] !== TCP) return "other";
  const flags = inside[13];
  const payload = length - header - (inside[12] >> 4) * 4;
  const names = [[2, "SYN"], [1, "FIN"], [4, "RST"], [16, "ACK"]].filter(([bit]) => flags & bit).map(([, name]) => name);
  const ports = `${inside.readUInt16BE(0)}>${inside.readUInt16BE(2)}`;
  return `TCP ${ports} ${names.join("+")} ${payload} bytes from ${inside.readUInt32BE(4) % 1_000_000}`;
}

function datagram(bytes, length) {
  if (bytes.length < 12) return "short datagram";
  if (bytes[0] < 4) return `STUN ${{ 1: "check", 0x101: "answer", 0x11: "indication" }[bytes.readUInt16BE(0)] ?? "error"}`;
  if (bytes[0] < 64) return `DTLS ${records(bytes).join(", ")}`;
  if (bytes[1] >= 192 && bytes[1] < 224) return `RTCP ${rtcp(bytes)} (${length} bytes)`;
  const extension = bytes[0] & 16 ? 4 + 4 * bytes.readUInt16BE(14) : 0;
  return `RTP ${bytes[1] & 127}${bytes[1] & 128 ? " marker" : ""} number ${bytes.readUInt16BE(2)}, timestamp ${bytes.readUInt32BE(4)}, ${length - 12 - extension} bytes`;
}

const MESSAGES = { 1: "ClientHello", 2: "ServerHello", 3: "HelloVerifyRequest", 11: "Certificate", 12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify", 16: "ClientKeyExchange", 4: "NewSessionTicket" };

function records(bytes) {
  const found = [];
  for (let at = 0; at + 14 <= bytes.length; at += 13 + bytes.readUInt16BE(at + 11)) {
    const kind = bytes[at];
    const epoch = bytes.readUInt16BE(at + 3);
    if (kind === 20) found.push("ChangeCipherSpec");
    else if (kind === 21) found.push("Alert");
    else if (kind === 22) found.push(epoch > 0 ? "Finished" : (MESSAGES[bytes[at + 13]] ?? `message ${bytes[at + 13]}`));
    else found.push(`record ${kind}`);
  }
  return found;
}

function rtcp(bytes) {
  const form = bytes[0] & 31;
  if (bytes[1] === 205) return form === 1 ? "NACK" : form === 15 ? "arrival times" : `feedback ${form}`;
  if (bytes[1] === 206) return form === 1 ? "PLI" : form === 4 ? "FIR" : `feedback ${form}`;
  return { 200: "sender report", 201: "receiver report", 202: "description", 207: "XR", 204: "APP" }[bytes[1]] ?? `${bytes[1]}`;
}
