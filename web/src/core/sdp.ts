/**
 * Adds `stereo=1` to the Opus parameters of our own description. Chrome decodes to one channel unless the
 * receiving side says that it wants two (RFC 7587 section 6.1).
 */
export function withStereo(sdp: string): string {
  const lines = sdp.split(/\r\n|\n/);
  const opus = new Set(
    lines.flatMap((line) => {
      const payloadType = /^a=rtpmap:(\d+) opus\/48000/i.exec(line)?.[1];
      return payloadType === undefined ? [] : [payloadType];
    }),
  );
  if (opus.size === 0) return sdp;

  const written = lines.map((line) => {
    const [, payloadType, parameters = ""] = /^a=fmtp:(\d+) (.*)$/.exec(line) ?? [];
    if (payloadType === undefined || !opus.delete(payloadType)) return line;
    const others = parameters.split(";").map((one) => one.trim()).filter((one) => one !== "" && !/^stereo=/i.test(one));
    return `a=fmtp:${payloadType} ${[...others, "stereo=1"].join(";")}`;
  });
  // What is left had no parameters of its own: they belong right below the codec they describe.
  return written
    .flatMap((line) => {
      const payloadType = /^a=rtpmap:(\d+) /.exec(line)?.[1];
      return payloadType !== undefined && opus.delete(payloadType) ? [line, `a=fmtp:${payloadType} stereo=1`] : [line];
    })
    .join("\r\n");
}

/**
 * Adds `rrtr` to the feedback of our own H.264 formats. Chrome then measures the round trip although it sends nothing
 * (RFC 3611 section 4.4): it asks for lost packets again after that time instead of 100 ms, and holds pictures back long
 * enough for one answer when packets get lost.
 */
export function withRoundTripReports(sdp: string): string {
  return sdp
    .split(/\r\n|\n/)
    .flatMap((line) => {
      const payloadType = /^a=rtpmap:(\d+) H264\//i.exec(line)?.[1];
      return payloadType === undefined || sdp.includes(`a=rtcp-fb:${payloadType} rrtr`)
        ? [line]
        : [line, `a=rtcp-fb:${payloadType} rrtr`];
    })
    .join("\r\n");
}

/** The media that an answer refuses (RFC 3264 section 6). */
export function refusedMedia(sdp: string): string[] {
  return [...sdp.matchAll(/^m=(\w+) 0 /gm)].flatMap(([, kind]) => kind ?? []);
}

/** Where a description says that its side can be reached, `203.0.113.5:20000`; names that mDNS hides are left out. */
export function candidateAddresses(sdp: string): string[] {
  const found = new Set<string>();
  for (const line of sdp.split(/\r\n|\n/)) {
    const [, address, port] = /^a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ /i.exec(line) ?? [];
    if (address === undefined || port === undefined || address.endsWith(".local")) continue;
    found.add(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
  }
  return [...found];
}
