/** Every word of the page. A second language is a second file of this shape. */
export const en = {
  locale: "en",
  name: "Heliograph",
  skipToContent: "Skip to content",
  pageTitle: (page: string | null) => (page === null ? "Heliograph" : `${page} · Heliograph`),

  home: {
    title: "On the air",
    subtitle: (count: number) =>
      count === 1 ? "One channel is signalling right now." : `${count} channels are signalling right now.`,
    loading: "Looking for channels",
    unreachable: {
      title: "The server does not answer",
      text: "The list of channels cannot be loaded right now. This page asks again every few seconds.",
    },
  },

  empty: {
    title: "Nobody is on the air",
    text: "As soon as somebody starts to stream, the channel appears here by itself.",
    howTo: "Start streaming with OBS Studio",
    stepKey: "Make a key on the server. It belongs to one channel and is printed once.",
    keyCommand: "heliograph key new CHANNEL",
    stepSettings: "In OBS (27 to 30.2), open Settings → Stream, choose the service “Custom…” and enter",
    serverLabel: "Server",
    keyLabel: "Stream key",
    keyPlaceholder: "the key that the command printed",
    stepEncoder:
      "Under Output, set the keyframe interval to 2 s, the profile to main and no B-frames. Then start streaming.",
    withoutObs: "No OBS at hand? Send a test picture",
    publishCommand: (host: string) => `heliograph publish --to ${host} --key KEY --test-picture`,
    copy: "Copy",
    copied: "Copied",
    copyFailed: "Select it and copy by hand",
  },

  card: {
    port: (port: number) => `Port ${port}`,
    resolution: (width: number, height: number) => `${width} × ${height}`,
    framesPerSecond: (fps: number) => `${Math.round(fps)} fps`,
  },

  badge: {
    live: "Live",
    away: "Away",
    waiting: "Starting",
    offline: "Off the air",
  },

  viewers: (count: number) => (count === 1 ? "1 watching" : `${count.toLocaleString("en")} watching`),
  since: {
    now: "just started",
    minutes: (minutes: number) => (minutes === 1 ? "for 1 minute" : `for ${minutes} minutes`),
    hours: (hours: number, minutes: number) => (minutes === 0 ? `for ${hours} h` : `for ${hours} h ${minutes} min`),
    days: (days: number) => (days === 1 ? "for 1 day" : `for ${days} days`),
  },

  watch: {
    player: (name: string) => `Player: ${name}`,
    alsoLive: "On the air meanwhile",
  },

  controls: {
    group: "Player controls",
    play: "Play",
    pause: "Pause",
    mute: "Turn sound off",
    unmute: "Turn sound on",
    volume: "Volume",
    fullscreen: "Full screen",
    leaveFullscreen: "Leave full screen",
    latency: "Delay",
    withShortcut: (label: string, key: string) => `${label} (${key})`,
  },

  /** The choices of the menu, and what each of them means. */
  latency: {
    lowest: { name: "Lowest", text: "Pictures as soon as they come; sound may follow a moment later." },
    balanced: { name: "Balanced", text: "Close to live, picture and sound together." },
    smooth: { name: "Smooth", text: "A second behind. Helps where the network stutters." },
  },

  /** What is happening, in one sentence, and what one can do about it. */
  status: {
    reaching: { title: "Calling the station", text: "Asking the server for the stream." },
    negotiating: { title: "The station answers", text: "Agreeing on picture and sound." },
    joining: { title: "Finding the way", text: "Looking for a path through the network. Some networks take a moment." },
    again: (attempt: number) => `Attempt ${attempt}.`,
    waiting: { title: "Connected", text: "The first picture is on its way." },
    offline: {
      title: "Off the air",
      text: "Nobody is streaming here right now. Leave this page open: it starts by itself.",
    },
    ended: {
      title: "The broadcast has ended",
      text: "Thank you for watching. If it goes on, this page starts again by itself.",
    },
    away: {
      title: "The streamer’s line has gone quiet",
      text: "You are still connected. The picture resumes by itself as soon as the streamer is back.",
    },
    stalled: {
      title: "No pictures are coming through",
      text: "The connection between you and the server is slow or interrupted. It often recovers within seconds.",
    },
    paused: { title: "Paused", text: "When you go on, you see what is happening then." },
    autoplayBlocked: {
      title: "Ready when you are",
      text: "Your browser starts videos only when you ask for it.",
      action: "Start watching",
    },
    retryIn: (seconds: number) => `Trying again in ${seconds} s`,
    retryNow: "Try again now",
    otherChannels: "See the other channels",
  },

  /** Why it did not work. `text` says what one can do. */
  causes: {
    unreachable: {
      title: "The server does not answer",
      text: "It may be restarting, or your connection to the internet is down. This page keeps trying.",
    },
    "socket-refused": {
      title: "The server cannot be reached",
      text: "It may be restarting, or something between you and it blocks the connection. This page keeps trying.",
    },
    "socket-lost": {
      title: "The connection broke off",
      text: "Connecting again. If this happens often, check your network.",
    },
    "path-blocked": {
      title: "The network lets no video through",
      text: "The server answers, but no video arrives. Try another network or leave the VPN, or ask your administrator to allow UDP to this server.",
    },
    "path-lost": {
      title: "The picture was interrupted",
      text: "The way through the network went silent, as happens when the Wi-Fi changes. Building a new one.",
    },
    "no-stream": { title: "Off the air", text: "There is no such stream right now. This page keeps looking." },
    ended: { title: "The broadcast has ended", text: "If it goes on, this page starts again by itself." },
    full: {
      title: "Every seat is taken",
      text: "The server has as many viewers as it can serve. You get in as soon as a place is free.",
    },
    description: {
      title: "Browser and server do not understand each other",
      text: "One of them may be too old for the other. This page keeps trying; an update of the browser may help.",
    },
    codec: {
      title: "This browser cannot play the stream",
      text: "It is H.264 video with Opus sound. A current Chrome, Edge, Firefox or Safari plays both.",
    },
    "not-allowed": {
      title: "You are not allowed to watch this",
      text: "The server refused. Ask whoever gave you this address.",
    },
    "server-closing": { title: "The server is restarting", text: "The picture comes back by itself when it is up again." },
    "no-webrtc": {
      title: "This browser has no WebRTC",
      text: "It is too old, or WebRTC is switched off by a setting or an extension. Switch it on, or use another browser.",
    },
    other: { title: "Something went wrong", text: "This page keeps trying. If it does not help, reload it." },
  },

  /** The picture or the sound is missing, and the rest goes on. */
  notices: {
    codec: "Your browser cannot play all of this stream: its picture or its sound has a format it does not know.",
    other: (detail: string) => `The server says: ${detail}`,
  },

  notFound: {
    title: "Nothing signals from here",
    text: "There is no page at this address. Perhaps a letter is missing.",
    home: "See the channels",
  },
};

/** What every language has to say. */
export type Catalogue = typeof en;
