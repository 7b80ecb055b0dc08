import type { Desk } from "./studioMessages";

/** A way to send to this server, and what an encoder has to be told. */
export interface EncoderSetup {
  readonly kind: "obs-whip" | "obs-rtmp" | "obs-ftl" | "rtmps";
  readonly server: string;
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
  ];
  return setups.filter((setup) => setup !== null);
}

function withPort(host: string, port: number, usual: number): string {
  return port === usual ? host : `${host}:${port}`;
}
