import type { Desk, SrtDoor } from "./studioMessages";

/** A way to send to this server, and what an encoder has to be told. */
export interface EncoderSetup {
  readonly kind: "obs-whip" | "obs-rtmp" | "obs-ftl" | "rtmps" | "srt";
  readonly server: string;
  /** For encoders that have a field for each. */
  readonly srt?: SrtDoor;
}

/** The ways that are open, best first, with the address under which this page was reached. */
export function encoderSetups({ channel, doors }: Desk, page: Pick<Location, "origin" | "hostname">): EncoderSetup[] {
  const host = page.hostname;
  const setups: (EncoderSetup | null)[] = [
    doors.whip ? { kind: "obs-whip", server: `${page.origin}/whip/${encodeURIComponent(channel)}` } : null,
    doors.ftl_port === null ? null : { kind: "obs-ftl", server: `ftl://${host}` },
    doors.rtmp_port === null
      ? null
      : { kind: "obs-rtmp", server: `rtmp://${withPort(host, doors.rtmp_port, 1935)}/live` },
    doors.rtmps_port === null
      ? null
      : { kind: "rtmps", server: `rtmps://${withPort(host, doors.rtmps_port, 443)}/live` },
    doors.srt === null ? null : { kind: "srt", server: `srt://${host}:${doors.srt.port}`, srt: doors.srt },
  ];
  return setups.filter((setup) => setup !== null);
}

function withPort(host: string, port: number, usual: number): string {
  return port === usual ? host : `${host}:${port}`;
}

/**
 * The address with everything in it, as OBS and ffmpeg want it: they have no fields for the rest, and put nothing of it in
 * percent signs back, so a passphrase with signs of its own stays out.
 */
export function srtAddress({ server, srt }: Pick<EncoderSetup, "server" | "srt">, streamKey: string): string {
  const passphrase = srt?.passphrase ?? "";
  const plain = /^[\w.~-]+$/.test(passphrase);
  return `${server}?streamid=${streamKey}${plain ? `&passphrase=${passphrase}` : ""}`;
}
