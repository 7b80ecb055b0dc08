/** Every word of the page. A second language is a second file of this shape. */
export const en = {
  locale: "en",
  direction: "ltr" as "ltr" | "rtl",
  /** What the language calls itself. */
  language: "English",
  languageMenu: "Language",
  name: "Heliograph",
  skipToContent: "Skip to content",
  pageTitle: (page: string | null, site: string) => (page === null ? site : `${page} · ${site}`),

  home: {
    title: "On the air",
    subtitle: (count: number) =>
      count === 1 ? "One channel is signalling right now." : `${count} channels are signalling right now.`,
    loading: "Looking for channels",
    search: "Search channels",
    found: (count: number, text: string) =>
      count === 1 ? `1 channel with “${text}”` : `${count.toLocaleString("en")} channels with “${text}”`,
    nothingFound: {
      title: (text: string) => `No channel with “${text}” is on the air`,
      text: "Perhaps it begins later: this list changes by itself. Or look at everything that is on now.",
      showAll: "Show all channels",
    },
    several: "Watch several at once",
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
    noStill: (codec: string) => `No preview: this browser does not show ${codec}`,
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
    addAnother: "Watch another channel beside it",
  },

  several: {
    title: (count: number) => (count === 1 ? "One channel" : `${count.toLocaleString("en")} channels at once`),
    listen: (name: string) => `Listen to ${name}`,
    listening: (name: string) => `You hear ${name}`,
    remove: (name: string) => `Take ${name} away`,
    alone: (name: string) => `Watch ${name} alone`,
    add: "Add a channel",
    addHint: "Choose from what is on the air",
    nothingToAdd: "Nothing else is on the air right now.",
    full: (most: number) => `No more than ${most} at once: each of them costs your line and your device.`,
    none: {
      title: "Choose what to watch",
      text: "Add channels that are on the air; one of them has the sound.",
    },
  },

  embed: {
    open: (site: string) => `Watch on ${site}`,
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
    layer: "Picture quality",
    pictureInPicture: "Picture in picture",
    leavePictureInPicture: "Leave picture in picture",
    theatre: "Theatre mode",
    leaveTheatre: "Leave theatre mode",
    figures: "Live figures",
    hideFigures: "Hide live figures",
    help: "Keyboard shortcuts",
    withShortcut: (label: string, key: string) => `${label} (${key})`,
  },

  /** The choices of the menu, and what each of them means. */
  latency: {
    lowest: { name: "Lowest", text: "Pictures as soon as they come; sound may follow a moment later." },
    balanced: { name: "Balanced", text: "Close to live, picture and sound together." },
    smooth: { name: "Smooth", text: "A second behind. Helps where the network stutters." },
  },

  /** The sizes of the picture, where the streamer sends several. */
  layers: {
    auto: { name: "Auto", text: "As good as your connection allows." },
  },

  help: {
    title: "Keyboard shortcuts",
    close: "Close",
    keys: {
      play: "Pause, or go on with what is live",
      mute: "Sound on or off",
      volume: "Louder, quieter",
      fullscreen: "Full screen",
      pictureInPicture: "Picture in picture",
      theatre: "Theatre mode: as wide as the window",
      figures: "Live figures",
      help: "This sheet",
      close: "Close what is open",
    },
    space: "Space",
    escape: "Esc",
    touch: "On a touch screen, tap twice for the full screen.",
    missingTitle: "Not possible here",
    /** What the browser or the connection does not allow, and why. */
    missing: {
      wakeLock: "The screen may go dark while you watch: browsers keep it awake only for pages that come over https.",
      clipboard: "Copying by a button works only over https. Select the text and copy it by hand.",
      pictureInPicture: "This browser has no picture in picture, or keeps it from pages.",
      fullscreen: "This browser shows no page on the full screen.",
    },
  },

  /** How things go, in figures. */
  figures: {
    title: "Live figures",
    close: "Hide the figures",
    copy: "Copy as text",
    copied: "Copied",
    copyFailed: "Select and copy by hand",
    chart: "Delay and bitrate over the last minute",
    delayLine: "Delay",
    bitrateLine: "Bitrate",
    unknown: "–",
    rows: {
      delay: "Delay",
      uplink: { capture: "Camera to server", network: "Encoder to server", none: "Camera to server" },
      network: "Network, one way",
      buffer: "Waiting in the buffer",
      decode: "Decoding",
      roundTrip: "Round trip",
      loss: "Lost",
      recovered: "Sent again and received",
      freezes: "Freezes",
      bitrate: "Bitrate",
      picture: "Picture",
      codec: "Codecs",
      encryption: "Encryption",
      path: "Way",
      transport: "Signaling",
      clock: "Clock against the server",
    },
    /** Where the delay comes from; it says what is not in it. */
    delayFrom: {
      clocks: {
        capture: "from the camera to your eye",
        network: "from the encoder to your eye. What camera and streaming program take before they send cannot be measured from here: it comes on top, often a tenth of a second.",
        none: "from the server to your eye; the way from the camera to the server is not known and not in it",
      },
      parts: {
        capture: "from the camera to your eye; the way to the server, network, buffer and decoding added up",
        network: "the way to the server, network, buffer and decoding added up. What camera and streaming program take before they send cannot be measured from here: it comes on top, often a tenth of a second.",
        none: "network, buffer and decoding added up; the way from the camera to the server is not known and not in it",
      },
    },
    /** What the way to the server is made of. */
    uplinkFrom: {
      capture: "by the sender’s own clock, encoding included",
      network: "half of the round trip, what has piled up on the way, and what the server holds back on purpose",
      none: "this sender tells nothing about it",
    },
    ms: (ms: number) => `${Math.round(ms).toLocaleString("en")} ms`,
    tenths: (ms: number) => `${ms.toLocaleString("en", { maximumFractionDigits: 1 })} ms`,
    percent: (percent: number) => `${percent.toLocaleString("en", { maximumFractionDigits: 2 })} %`,
    packets: (count: number) => (count === 1 ? "1 packet" : `${count.toLocaleString("en")} packets`),
    times: (count: number, seconds: number) =>
      count === 0 ? "none" : `${count.toLocaleString("en")}, ${seconds.toLocaleString("en", { maximumFractionDigits: 1 })} s in all`,
    bitrate: (mbit: number) => `${mbit.toLocaleString("en", { maximumFractionDigits: 2 })} Mbit/s`,
    picture: (width: number, height: number, fps: number | null) =>
      fps === null ? `${width} × ${height}` : `${width} × ${height}, ${Math.round(fps)} fps`,
    within: (ms: number) => `known within ${ms.toLocaleString("en", { maximumFractionDigits: 1 })} ms`,
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
      network: {
        title: "No pictures are coming through",
        text: "The connection between you and the server is slow or interrupted. It often recovers within seconds.",
      },
      loss: {
        title: "Parts of the picture are getting lost",
        text: "Your network loses too much on the way. The picture goes on with the next whole one; a cable or another Wi-Fi helps.",
      },
      device: {
        title: "This device cannot keep up",
        text: "Everything arrives, but it is not decoded in time. Close other programs or tabs, or plug the device in.",
      },
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
    /** What to ask an administrator for; `addresses` are the server's own. */
    askFor: (addresses: string) => `Ask for outgoing UDP to ${addresses}.`,
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
      text: "Its format is one that this browser does not know. Try an update of this browser, or another one.",
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
    /** Said where the picture would be. `codec`: "H.264"; null: not known. */
    picture: {
      title: "You can hear this stream, but not see it",
      text: (codec: string | null) =>
        codec === null
          ? "Its picture has a format that this browser does not know. An update of this browser, or another one, shows it."
          : `Its picture is ${codec}, a format that this browser does not know. An update of this browser, or another one, shows it.`,
    },
    sound: (codec: string) => `You can see this stream, but not hear it: its sound is ${codec}, a format that this browser does not know.`,
    /** Firefox only: it lacks the decoder for H.264 at first. */
    openH264:
      "Firefox fetches what it needs for H.264 by itself, some minutes after its first start. Wait and load this page again, or see whether “OpenH264” is switched on under about:addons, Plugins.",
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
