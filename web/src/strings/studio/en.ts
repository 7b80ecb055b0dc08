import { decibels } from "./decibels";

/** Every word of the streamer's desk. Apart from the others, so that nobody who watches has to load it. */
export const en = {
  title: "Studio",
  signIn: {
    title: "Your desk",
    text: "See how your stream arrives, what to change, and who watches. Sign in with the stream key of your channel.",
    key: "Stream key",
    submit: "Sign in",
    safe: "The key goes to this server only, and is kept by no address and no script: a cookie for twelve hours stands for it.",
  },
  problems: {
    "wrong-key": "This is not the key of a channel here. Copy it again, the whole line that “heliograph key new” printed.",
    "too-many-tries": "Too many wrong keys came from your network. Wait a minute and try again.",
    "no-verdict": "The service that knows the keys does not answer. Ask whoever runs this server.",
    unreachable: "The server does not answer. This page goes on trying.",
    "off-air": "Nothing is on the air that this could change.",
    "signed-out": "You are signed out. Sign in again.",
    "no-desk": "This server has no desk for streamers. Ask whoever runs it where the streams come in.",
    other: "That did not work. Try again, or ask whoever runs this server.",
  },
  checking: "Looking whether you are signed in",
  stale: "The server does not answer; these are the last figures.",
  signOut: "Sign out",
  watch: "See what viewers see",
  state: {
    offline: "You are off the air. As soon as your encoder sends, viewers see it.",
    waiting: "Your encoder is connected; the first picture is on its way.",
    live: "You are on the air.",
    away: "Nothing arrives from your encoder. Viewers keep their place, and it goes on by itself.",
    closed: (minutes: number) =>
      minutes === 1 ? "You ended the stream. Encoders are turned away for 1 more minute." : `You ended the stream. Encoders are turned away for ${minutes} more minutes.`,
  },

  controls: {
    heading: "While you are live",
    title: "Title",
    titleHint: "What viewers read above the picture",
    save: "Change the title",
    saved: "Changed",
    mute: "Mute the channel",
    unmute: "Sound on again",
    muted: "Viewers hear nothing now.",
    end: "End the stream",
    endSure: "Really end it?",
    endText: "Viewers are told that it is over. Encoders come back by themselves, so they are turned away for ten minutes.",
    endYes: "Yes, end it",
    endNo: "No, go on",
    open: "Let encoders in again",
  },

  warnings: {
    heading: "What to change",
    none: "Nothing to change: everything arrives as it should.",
    /** The server's own word for something that this page does not know yet. */
    unknown: "The server says",
    affected: {
      picture: (viewers: number, codec: string) =>
        viewers === 1 ? `1 viewer sees no picture: the browser cannot play ${codec}` : `${viewers.toLocaleString("en")} viewers see no picture: their browsers cannot play ${codec}`,
      sound: (viewers: number, codec: string) =>
        viewers === 1 ? `1 viewer hears nothing: the browser cannot play ${codec}` : `${viewers.toLocaleString("en")} viewers hear nothing: their browsers cannot play ${codec}`,
      turnedAway: (times: number) => (times === 1 ? "1 browser could play nothing at all" : `${times.toLocaleString("en")} times a browser could play nothing at all`),
    },
    /** What comes, and what may come. */
    limit: (sends: string, most: string) => `${sends} arrive; ${most} are allowed.`,
    codes: {
      bitrate_limit: {
        title: "Your bitrate is above this channel’s limit",
        text: "If it stays there, the server ends the stream.",
        where: "OBS: Settings → Output → Streaming → Bitrate: below the limit by a tenth, since sound comes on top. Rate Control: CBR.",
      },
      no_video: {
        title: "No picture arrives",
        text: "Only sound comes through. Viewers see nothing.",
        where: "OBS: check that a scene with a source is shown; Settings → Output → Streaming → Video Encoder.",
      },
      no_audio: {
        title: "No sound arrives",
        text: "Viewers see a silent picture.",
        where: "OBS: Settings → Audio, choose a device; and look at the audio mixer whether it moves.",
      },
      silent: {
        title: "Your sound is silent",
        text: "Sound arrives, but there is nothing to be heard in it.",
        where: "OBS: look whether the audio mixer moves and nothing is muted there; Settings → Audio, choose the right device.",
      },
      no_keyframe: {
        title: "No complete picture to begin with",
        text: "Viewers cannot join before a keyframe comes.",
        where: "OBS: Settings → Output → Streaming → Keyframe Interval: 2 s.",
      },
      keyframes_too_far_apart: {
        title: "Keyframes are much too far apart",
        text: "Whoever joins waits for the next one, up to many seconds.",
        where: "OBS: Settings → Output → Streaming → Keyframe Interval: 2 s. Not 0, which means “as the encoder likes”.",
      },
      keyframe_interval: {
        title: "Keyframes are more than 4 s apart",
        text: "Whoever joins waits longer, or costs the server more.",
        where: "OBS: Settings → Output → Streaming → Keyframe Interval: 2 s.",
      },
      b_frames: {
        title: "B-frames are on",
        text: "Browsers show pictures in the order in which they come: viewers would see them judder.",
        where: "OBS: Settings → Output → Streaming: Max B-frames 0 (NVENC, AMD, QuickSync), or “bframes=0” in the x264 options, or Tune: zerolatency.",
      },
      reencoded: {
        title: "B-frames are on",
        text: "The server encodes the picture anew without them, so that it does not judder. That costs delay and quality.",
        where: "OBS: Settings → Output → Streaming: Max B-frames 0 (NVENC, AMD, QuickSync), or “bframes=0” in the x264 options, or Tune: zerolatency.",
      },
      tracks_left_out: {
        title: "Not all tracks reach viewers",
        text: "There may be up to four of the picture, all in the codec of the first one, and one of sound.",
        where: "The server’s log names the tracks that are left out, and why.",
      },
      profile: {
        title: "This H.264 profile is not for browsers",
        text: "Safari and Firefox refuse what is not Baseline, Main or High up to level 5.2.",
        where: "OBS: Settings → Output → Streaming → Profile: main; Settings → Advanced → Color Format: NV12.",
      },
      variable_frame_rate: {
        title: "The frame rate wavers",
        text: "Movements look uneven. Mostly the encoder or the graphics card has too much to do.",
        where: "OBS: View → Stats shows frames missed; choose a faster preset, or a smaller size under Settings → Video.",
      },
      clock_drift: {
        title: "Your encoder’s clock runs wrong",
        text: "Sound and picture slowly move apart from real time; the server makes up for it.",
        where: "Set all audio devices to 48 kHz (OBS: Settings → Audio → Sample Rate), and prefer devices of one clock.",
      },
      uplink_loss: {
        title: "Your line loses packets",
        text: "Parts of the picture are missing for everybody.",
        where: "Use a cable instead of Wi-Fi. OBS: Settings → Output → Streaming → Bitrate: lower by a third.",
      },
      codec: {
        title: "Some viewers cannot play this",
        text: "Their browsers do not know the format that your encoder sends. They are told so.",
        where: "OBS: Settings → Output → Streaming → Video Encoder: one for H.264 reaches everybody.",
      },
      overloaded: {
        title: "The server has too much to do",
        text: "It dropped packets of your stream.",
        where: "Tell whoever runs this server.",
      },
    },
  },

  health: {
    heading: "How it arrives",
    nothing: "Figures come as soon as your encoder sends.",
    rows: {
      bitrate: "Bitrate",
      picture: "Picture",
      codec: "Codec",
      keyframes: "Keyframe interval",
      loss: "Lost on your line",
      again: "Asked for again",
      roundTrip: "Round trip to you",
      jitter: "Unevenness (jitter)",
      drift: "Clock drift",
      sound: "Sound",
      encoder: "Encoder",
      door: "Way in",
      viewers: "Viewers",
      delay: "Viewers’ delay",
    },
    sound: {
      name: "Loudness",
      level: (peakDb: number, kind: string) => `Peak ${decibels(peakDb, "en")}: ${kind}`,
      kinds: {
        quiet: "quiet; turn it up if this is not meant to be",
        good: "good",
        loud: "too loud; what is above 0 dB is cut off",
      },
      silent: (seconds: number) => `Silent for ${seconds.toLocaleString("en")} s`,
      muted: "Muted: viewers hear nothing",
      unknown: "Not heard yet",
    },
    charts: {
      bitrate: "Bitrate",
      fps: "Frame rate",
      loss: "Loss",
      roundTrip: "Round trip",
      viewers: "Viewers",
      delay: "Delay, 95 %",
      over: "the last five minutes",
    },
    delay: (halfMs: number, mostMs: number) =>
      `half within ${Math.round(halfMs).toLocaleString("en")} ms, 95 % within ${Math.round(mostMs).toLocaleString("en")} ms`,
    delayNote: (telling: number, all: number) =>
      `The delay runs from you to the viewers’ screens, as the pages of ${telling.toLocaleString("en")} of ${all.toLocaleString("en")} tell. What camera and encoder take is in it only where your program tells its clock, as browsers do.`,
    mbit: (mbit: number) => `${mbit.toLocaleString("en", { maximumFractionDigits: 2 })}\u00a0Mbit/s`,
    kbit: (kbit: number) => `${Math.round(kbit).toLocaleString("en")}\u00a0kbit/s`,
    seconds: (seconds: number) => `${seconds.toLocaleString("en", { maximumFractionDigits: 1 })} s`,
    ms: (ms: number) => `${Math.round(ms).toLocaleString("en")} ms`,
    tenths: (ms: number) => `${ms.toLocaleString("en", { maximumFractionDigits: 1 })} ms`,
    fps: (fps: number) => `${fps.toLocaleString("en", { maximumFractionDigits: 1 })} fps`,
    percent: (percent: number) => `${percent.toLocaleString("en", { maximumFractionDigits: 2 })} %`,
    ppm: (ppm: number) => `${ppm.toLocaleString("en")} ppm`,
    packets: (count: number) => (count === 1 ? "1 packet" : `${count.toLocaleString("en")} packets`),
    count: (count: number) => count.toLocaleString("en"),
  },

  camera: {
    heading: "Go live from this browser",
    text: "Without an encoder: with the camera and microphone of this device, or with what its screen shows.",
    source: "What viewers see",
    sources: { camera: "Camera", screen: "Screen", both: "Screen and camera" },
    camera: "Camera to use",
    microphone: "Microphone",
    noMicrophone: "No sound",
    usual: "As the system has it set",
    unnamed: (number: number) => `Device ${number}`,
    level: "Loudness",
    preview: "Preview: what viewers will see",
    goLive: "Go live",
    close: "Close the preview",
    stop: "Stop the broadcast",
    phases: {
      off: "Nothing of this device is seen or heard. Choose what to show; you go live only after a preview.",
      asking: "Your browser asks whether this page may use it. Please allow it there.",
      ready: "This is the preview. Nobody else sees or hears it yet.",
      connecting: "Connecting to the server",
      live: "You are live with this browser. Keep this page open.",
    },
    problems: {
      insecure: "Browsers give camera, microphone and screen only to pages on https or localhost, and this page came over plain http. Ask whoever runs this server for an https address.",
      denied: "The browser was not allowed to use it. Allow camera and microphone for this page, in the address bar or in the settings of the system, and try again.",
      "no-device": "There is no such device. Plug it in, or choose another one.",
      busy: "Another program has the device. Close that program, and try again.",
      "device-trouble": "The device could not be opened. Try another one.",
      "device-gone": "The device or the shared screen is gone, so the broadcast was stopped.",
      "connection-lost": "The connection to the server was lost. This page tries again by itself.",
      "signed-out": "You are signed out, or the key has changed. Sign in again.",
      "channel-in-use": "An encoder is on your channel already. Stop it first; after that, wait a few seconds.",
      "ended-by-streamer": "The channel is closed because you ended the stream. Let encoders in again first.",
      "foreign-network": "This server takes broadcasts from certain networks only, and yours is none of them.",
      unreachable: "The server does not answer. Look at your connection, and try again.",
      "no-connection": "No connection came about. A firewall may stand in between: try another network, or another browser.",
      "server-trouble": "The server cannot take the broadcast right now. Try again in a few seconds.",
    },
  },

  setup: {
    heading: "Set up your encoder",
    text: "These are the addresses of this server, as you reached it.",
    server: "Server",
    key: "Stream key",
    token: "Bearer token (your stream key)",
    hidden: "the key that you signed in with",
    kinds: {
      "obs-whip": { name: "OBS 30 and later, WHIP", steps: "Settings → Stream: service “WHIP”." },
      "obs-ftl": {
        name: "OBS 27 to 30.2, FTL",
        steps: "Settings → Stream: service “Custom…”. OBS takes the server for FTL when it begins with ftl://.",
      },
      "obs-rtmp": { name: "OBS and most others, RTMP", steps: "Settings → Stream: service “Custom…”. A little later than the others, and it works through most firewalls." },
      rtmps: { name: "The same, encrypted: RTMPS", steps: "Settings → Stream: service “Custom…”." },
      srt: {
        name: "OBS and hardware encoders over a bad line, SRT",
        steps:
          "OBS: Settings → Stream: service “Custom…”, the whole address as the server, and an empty stream key. Other encoders: mode “caller”, MPEG-TS with H.264 and AAC, and the parts below.",
      },
    },
    srt: {
      whole: "The whole address",
      yourKey: "YOUR-STREAM-KEY",
      streamId: "Stream id (your stream key)",
      passphrase: "Passphrase",
      noPassphrase: "none; do not encrypt",
      latency: "Latency",
      latencyText: (ms: number) =>
        `At least ${ms.toLocaleString("en")} ms. Three to four round trips are enough; every viewer sees it. In OBS add “&latency=” to the address, in microseconds.`,
    },
    adviceHeading: "The encoder, exactly",
    advice: [
      "Settings → Output → Output Mode: Advanced → Streaming.",
      "Rate Control: CBR. Bitrate: 2500 to 6000 kbit/s, at most two thirds of what your line sends.",
      "Keyframe Interval: 2 s.",
      "Profile: main. Max B-frames: 0. x264: Tune zerolatency, preset veryfast.",
      "Settings → Audio → Sample Rate: 48 kHz.",
      "Settings → Video: 1280×720 at 30 fps to begin with.",
    ] as readonly string[],
  },
};

export type StudioCatalogue = typeof en;
