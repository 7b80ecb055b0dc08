import { decibels } from "./decibels";
import type { StudioCatalogue } from "./en";

const zahl = (wert: number, stellen = 0): string => wert.toLocaleString("de", { maximumFractionDigits: stellen });

/** Alles, was der Platz des Senders auf Deutsch sagt. */
export const de: StudioCatalogue = {
  title: "Sendeplatz",
  signIn: {
    title: "Ihr Sendeplatz",
    text: "Sehen Sie, wie Ihr Stream ankommt, was zu ändern ist und wer zusieht. Melden Sie sich mit dem Streamschlüssel Ihres Kanals an.",
    key: "Streamschlüssel",
    submit: "Anmelden",
    safe: "Der Schlüssel geht nur an diesen Server; keine Adresse und kein Skript behält ihn: Ein Cookie steht zwölf Stunden lang für ihn.",
  },
  problems: {
    "wrong-key": "Das ist nicht der Schlüssel eines Kanals von hier. Kopieren Sie ihn noch einmal, die ganze Zeile, die „heliograph key new“ angezeigt hat.",
    "too-many-tries": "Aus Ihrem Netz kamen zu viele falsche Schlüssel. Warten Sie eine Minute und versuchen Sie es wieder.",
    "no-verdict": "Der Dienst, der die Schlüssel kennt, antwortet nicht. Fragen Sie, wer diesen Server betreibt.",
    unreachable: "Der Server antwortet nicht. Diese Seite versucht es weiter.",
    "off-air": "Es ist nichts auf Sendung, das sich so ändern ließe.",
    "signed-out": "Sie sind abgemeldet. Melden Sie sich wieder an.",
    "no-desk": "Dieser Server hat keinen Sendeplatz. Fragen Sie, wer ihn betreibt, wo die Streams ankommen.",
    other: "Das hat nicht geklappt. Versuchen Sie es noch einmal, oder fragen Sie, wer diesen Server betreibt.",
  },
  checking: "Es wird nachgesehen, ob Sie angemeldet sind",
  stale: "Der Server antwortet nicht; das sind die letzten Werte.",
  signOut: "Abmelden",
  watch: "Sehen, was Zuschauer sehen",
  state: {
    offline: "Sie sind nicht auf Sendung. Sobald Ihr Encoder sendet, sehen es die Zuschauer.",
    waiting: "Ihr Encoder ist verbunden; das erste Bild ist unterwegs.",
    live: "Sie sind auf Sendung.",
    away: "Von Ihrem Encoder kommt nichts an. Die Zuschauer behalten ihren Platz, und es geht von selbst weiter.",
    closed: (minutes) =>
      minutes === 1
        ? "Sie haben den Stream beendet. Encoder werden noch 1 Minute lang abgewiesen."
        : `Sie haben den Stream beendet. Encoder werden noch ${minutes} Minuten lang abgewiesen.`,
  },

  controls: {
    heading: "Während Sie senden",
    title: "Titel",
    titleHint: "Was Zuschauer am Bild lesen",
    save: "Titel ändern",
    saved: "Geändert",
    mute: "Kanal stummschalten",
    unmute: "Ton wieder an",
    muted: "Die Zuschauer hören jetzt nichts.",
    end: "Stream beenden",
    endSure: "Wirklich beenden?",
    endText: "Den Zuschauern wird gesagt, dass es vorbei ist. Encoder kommen von selbst zurück, deshalb werden sie zehn Minuten lang abgewiesen.",
    endYes: "Ja, beenden",
    endNo: "Nein, weiter",
    open: "Encoder wieder hereinlassen",
  },

  warnings: {
    heading: "Was zu ändern ist",
    none: "Nichts zu ändern: Alles kommt an, wie es soll.",
    unknown: "Der Server sagt",
    affected: {
      picture: (viewers, codec) =>
        viewers === 1 ? `1 Zuschauer sieht kein Bild: Sein Browser spielt kein ${codec} ab` : `${zahl(viewers)} Zuschauer sehen kein Bild: Ihre Browser spielen kein ${codec} ab`,
      sound: (viewers, codec) =>
        viewers === 1 ? `1 Zuschauer hört nichts: Sein Browser spielt kein ${codec} ab` : `${zahl(viewers)} Zuschauer hören nichts: Ihre Browser spielen kein ${codec} ab`,
      turnedAway: (times) => (times === 1 ? "1 Browser konnte gar nichts abspielen" : `${zahl(times)}-mal konnte ein Browser gar nichts abspielen`),
    },
    limit: (sends, most) => `${sends} kommen an; ${most} sind erlaubt.`,
    codes: {
      bitrate_limit: {
        title: "Ihre Bitrate liegt über der Grenze dieses Kanals",
        text: "Bleibt sie dort, beendet der Server den Stream.",
        where: "OBS: Einstellungen → Ausgabe → Streamen → Bitrate: ein Zehntel unter der Grenze, denn der Ton kommt dazu. Ratenkontrolle: CBR.",
      },
      no_video: {
        title: "Es kommt kein Bild an",
        text: "Nur Ton kommt durch. Zuschauer sehen nichts.",
        where: "OBS: Prüfen Sie, ob eine Szene mit einer Quelle gezeigt wird; Einstellungen → Ausgabe → Streamen → Videoencoder.",
      },
      no_audio: {
        title: "Es kommt kein Ton an",
        text: "Zuschauer sehen ein stummes Bild.",
        where: "OBS: Einstellungen → Audio, wählen Sie ein Gerät; und sehen Sie nach, ob sich der Audiomixer bewegt.",
      },
      silent: {
        title: "Ihr Ton ist still",
        text: "Ton kommt an, aber es ist nichts darin zu hören.",
        where: "OBS: Sehen Sie nach, ob sich der Audiomixer bewegt und dort nichts stumm ist; Einstellungen → Audio, wählen Sie das richtige Gerät.",
      },
      no_keyframe: {
        title: "Kein ganzes Bild zum Anfangen",
        text: "Zuschauer kommen erst hinein, wenn ein Keyframe kommt.",
        where: "OBS: Einstellungen → Ausgabe → Streamen → Keyframe-Intervall: 2 s.",
      },
      keyframes_too_far_apart: {
        title: "Keyframes liegen viel zu weit auseinander",
        text: "Wer dazukommt, wartet auf das nächste, bis zu vielen Sekunden.",
        where: "OBS: Einstellungen → Ausgabe → Streamen → Keyframe-Intervall: 2 s. Nicht 0, das heißt „wie der Encoder mag“.",
      },
      keyframe_interval: {
        title: "Keyframes liegen mehr als 4 s auseinander",
        text: "Wer dazukommt, wartet länger oder kostet den Server mehr.",
        where: "OBS: Einstellungen → Ausgabe → Streamen → Keyframe-Intervall: 2 s.",
      },
      b_frames: {
        title: "B-Frames sind an",
        text: "Browser zeigen Bilder in der Reihenfolge, in der sie kommen: Zuschauer sähen sie ruckeln.",
        where: "OBS: Einstellungen → Ausgabe → Streamen: Max. B-Frames 0 (NVENC, AMD, QuickSync), oder „bframes=0“ in den x264-Optionen, oder Feinabstimmung: zerolatency.",
      },
      reencoded: {
        title: "B-Frames sind an",
        text: "Der Server codiert das Bild neu und ohne sie, damit es nicht ruckelt. Das kostet Zeit und Qualität.",
        where: "OBS: Einstellungen → Ausgabe → Streamen: Max. B-Frames 0 (NVENC, AMD, QuickSync), oder „bframes=0“ in den x264-Optionen, oder Feinabstimmung: zerolatency.",
      },
      tracks_left_out: {
        title: "Nicht alle Spuren erreichen die Zuschauer",
        text: "Es darf bis zu vier Spuren mit Bild geben, alle im Codec der ersten, und eine mit Ton.",
        where: "Das Protokoll des Servers nennt die Spuren, die wegbleiben, und den Grund.",
      },
      profile: {
        title: "Dieses H.264-Profil ist nichts für Browser",
        text: "Safari und Firefox lehnen ab, was nicht Baseline, Main oder High bis Level 5.2 ist.",
        where: "OBS: Einstellungen → Ausgabe → Streamen → Profil: main; Einstellungen → Erweitert → Farbformat: NV12.",
      },
      variable_frame_rate: {
        title: "Die Bildrate schwankt",
        text: "Bewegungen wirken ungleichmäßig. Meist hat der Encoder oder die Grafikkarte zu viel zu tun.",
        where: "OBS: Ansicht → Statistiken zeigt verpasste Bilder; wählen Sie eine schnellere Voreinstellung, oder eine kleinere Größe unter Einstellungen → Video.",
      },
      clock_drift: {
        title: "Die Uhr Ihres Encoders geht falsch",
        text: "Ton und Bild entfernen sich langsam von der wirklichen Zeit; der Server gleicht es aus.",
        where: "Stellen Sie alle Audiogeräte auf 48 kHz (OBS: Einstellungen → Audio → Abtastrate), am besten Geräte mit einer gemeinsamen Uhr.",
      },
      uplink_loss: {
        title: "Ihre Leitung verliert Pakete",
        text: "Allen fehlen Teile des Bildes.",
        where: "Nehmen Sie ein Kabel statt WLAN. OBS: Einstellungen → Ausgabe → Streamen → Bitrate: um ein Drittel senken.",
      },
      codec: {
        title: "Manche Zuschauer können das nicht abspielen",
        text: "Ihre Browser kennen das Format nicht, das Ihr Encoder sendet. Es wird ihnen gesagt.",
        where: "OBS: Einstellungen → Ausgabe → Streamen → Videoencoder: Einer für H.264 erreicht alle.",
      },
      overloaded: {
        title: "Der Server hat zu viel zu tun",
        text: "Er hat Pakete Ihres Streams verworfen.",
        where: "Sagen Sie es dem, der diesen Server betreibt.",
      },
    },
  },

  health: {
    heading: "Wie es ankommt",
    nothing: "Werte kommen, sobald Ihr Encoder sendet.",
    rows: {
      bitrate: "Bitrate",
      picture: "Bild",
      codec: "Codec",
      keyframes: "Keyframe-Intervall",
      loss: "Auf Ihrer Leitung verloren",
      again: "Nachgefordert",
      roundTrip: "Hin und zurück zu Ihnen",
      jitter: "Ungleichmäßigkeit (Jitter)",
      drift: "Abweichung der Uhr",
      sound: "Ton",
      encoder: "Programm",
      door: "Zugang",
      viewers: "Zuschauer",
      delay: "Verzögerung der Zuschauer",
    },
    sound: {
      name: "Lautstärke",
      level: (peakDb, kind) => `Spitze ${decibels(peakDb, "de")}: ${kind}`,
      kinds: {
        quiet: "leise; lauter stellen, falls das nicht so sein soll",
        good: "gut",
        loud: "zu laut; über 0 dB wird abgeschnitten",
      },
      silent: (seconds) => `Seit ${zahl(seconds)} s still`,
      muted: "Stumm: Die Zuschauer hören nichts",
      unknown: "Noch nichts gehört",
    },
    charts: {
      bitrate: "Bitrate",
      fps: "Bildrate",
      loss: "Verlust",
      roundTrip: "Hin und zurück",
      viewers: "Zuschauer",
      delay: "Verzögerung, 95 %",
      over: "die letzten fünf Minuten",
    },
    delay: (halfMs, mostMs) => `die Hälfte unter ${zahl(Math.round(halfMs))} ms, 95 % unter ${zahl(Math.round(mostMs))} ms`,
    delayNote: (telling, all) =>
      `Die Verzögerung reicht von Ihnen bis auf die Bildschirme, wie es die Seiten von ${zahl(telling)} der ${zahl(all)} Zuschauer melden. Was Kamera und Encoder brauchen, ist nur enthalten, wo Ihr Programm seine Uhr nennt, wie es Browser tun.`,
    mbit: (mbit) => `${zahl(mbit, 2)}\u00a0Mbit/s`,
    kbit: (kbit) => `${zahl(Math.round(kbit))}\u00a0kbit/s`,
    seconds: (seconds) => `${zahl(seconds, 1)} s`,
    ms: (ms) => `${zahl(Math.round(ms))} ms`,
    tenths: (ms) => `${ms.toLocaleString("de", { maximumFractionDigits: 1 })} ms`,
    fps: (fps) => `${zahl(fps, 1)} Bilder/s`,
    percent: (percent) => `${zahl(percent, 2)} %`,
    ppm: (ppm) => `${zahl(ppm)} ppm`,
    packets: (count) => (count === 1 ? "1 Paket" : `${zahl(count)} Pakete`),
    count: (count) => zahl(count),
  },

  camera: {
    heading: "Aus diesem Browser senden",
    text: "Ohne Encoder: mit Kamera und Mikrofon dieses Geräts oder mit dem, was sein Bildschirm zeigt.",
    source: "Was Zuschauer sehen",
    sources: { camera: "Nur die Kamera", screen: "Bildschirm", both: "Bildschirm und Kamera" },
    camera: "Welche Kamera",
    microphone: "Mikrofon",
    noMicrophone: "Kein Ton",
    usual: "Wie im System eingestellt",
    unnamed: (nummer) => `Gerät ${nummer}`,
    level: "Lautstärke",
    preview: "Vorschau: was Zuschauer sehen werden",
    goLive: "Auf Sendung gehen",
    close: "Vorschau schließen",
    stop: "Sendung beenden",
    phases: {
      off: "Von diesem Gerät ist nichts zu sehen oder zu hören. Wählen Sie, was gezeigt wird; auf Sendung gehen Sie erst nach einer Vorschau.",
      asking: "Ihr Browser fragt, ob diese Seite das darf. Bitte erlauben Sie es dort.",
      ready: "Das ist die Vorschau. Noch sieht und hört sie niemand sonst.",
      connecting: "Verbindung zum Server wird aufgebaut",
      live: "Sie sind mit diesem Browser auf Sendung. Lassen Sie diese Seite offen.",
    },
    problems: {
      insecure: "Browser geben Kamera, Mikrofon und Bildschirm nur Seiten auf https oder localhost, und diese Seite kam über einfaches http. Fragen Sie, wer diesen Server betreibt, nach einer Adresse mit https.",
      denied: "Der Browser durfte das nicht. Erlauben Sie dieser Seite Kamera und Mikrofon, in der Adressleiste oder in den Einstellungen des Systems, und versuchen Sie es wieder.",
      "no-device": "So ein Gerät gibt es nicht. Stecken Sie es ein, oder wählen Sie ein anderes.",
      busy: "Ein anderes Programm hat das Gerät. Schließen Sie dieses Programm, und versuchen Sie es wieder.",
      "device-trouble": "Das Gerät ließ sich nicht öffnen. Versuchen Sie ein anderes.",
      "device-gone": "Das Gerät oder der geteilte Bildschirm ist weg; deshalb wurde die Sendung beendet.",
      "connection-lost": "Die Verbindung zum Server ist abgerissen. Diese Seite versucht es von selbst wieder.",
      "signed-out": "Sie sind abgemeldet, oder der Schlüssel ist ein anderer geworden. Melden Sie sich wieder an.",
      "channel-in-use": "Auf Ihrem Kanal sendet schon ein Encoder. Halten Sie ihn zuerst an; warten Sie danach ein paar Sekunden.",
      "ended-by-streamer": "Der Kanal ist geschlossen, weil Sie den Stream beendet haben. Lassen Sie zuerst Encoder wieder herein.",
      "foreign-network": "Dieser Server nimmt Sendungen nur aus bestimmten Netzen an, und Ihres ist keines davon.",
      unreachable: "Der Server antwortet nicht. Sehen Sie nach Ihrer Verbindung, und versuchen Sie es wieder.",
      "no-connection": "Es kam keine Verbindung zustande. Vielleicht steht eine Firewall dazwischen: Versuchen Sie ein anderes Netz oder einen anderen Browser.",
      "server-trouble": "Der Server kann die Sendung gerade nicht annehmen. Versuchen Sie es in ein paar Sekunden wieder.",
    },
  },

  setup: {
    heading: "Encoder einrichten",
    text: "Das sind die Adressen dieses Servers, so wie Sie ihn erreicht haben.",
    server: "Serveradresse",
    key: "Streamschlüssel",
    token: "Bearer-Token (Ihr Streamschlüssel)",
    hidden: "der Schlüssel, mit dem Sie sich angemeldet haben",
    kinds: {
      "obs-whip": { name: "OBS ab 30, WHIP", steps: "Einstellungen → Stream: Plattform „WHIP“." },
      "obs-ftl": {
        name: "OBS 27 bis 30.2, FTL",
        steps: "Einstellungen → Stream: Plattform „Benutzerdefiniert …“. OBS hält den Server für FTL, wenn er mit ftl:// beginnt.",
      },
      "obs-rtmp": {
        name: "OBS und die meisten anderen, RTMP",
        steps: "Einstellungen → Stream: Plattform „Benutzerdefiniert …“. Etwas später als die anderen, und es geht durch die meisten Firewalls.",
      },
      rtmps: { name: "Dasselbe verschlüsselt: RTMPS", steps: "Einstellungen → Stream: Plattform „Benutzerdefiniert …“." },
      srt: {
        name: "OBS und Encoder als Gerät über eine schlechte Leitung, SRT",
        steps:
          "OBS: Einstellungen → Stream: Plattform „Benutzerdefiniert …“, die ganze Adresse als Server, der Streamschlüssel bleibt leer. Andere Encoder: Modus „Caller“, MPEG-TS mit H.264 und AAC, und die Teile von unten.",
      },
    },
    srt: {
      whole: "Die ganze Adresse",
      yourKey: "IHR-STREAMSCHLÜSSEL",
      streamId: "Stream-ID (Ihr Streamschlüssel)",
      passphrase: "Passwort (passphrase)",
      noPassphrase: "keines; nicht verschlüsseln",
      latency: "Latenz",
      latencyText: (ms) =>
        `Mindestens ${zahl(ms)} ms. Drei bis vier Hin- und Rückwege genügen; jeder Zuschauer sieht sie. In OBS kommt „&latency=“ an die Adresse, in Mikrosekunden.`,
    },
    adviceHeading: "Der Encoder, genau",
    advice: [
      "Einstellungen → Ausgabe → Ausgabemodus: Erweitert → Streamen.",
      "Ratenkontrolle: CBR. Bitrate: 2500 bis 6000 kbit/s, höchstens zwei Drittel dessen, was Ihre Leitung sendet.",
      "Keyframe-Intervall: 2 s.",
      "Profil: main. Max. B-Frames: 0. x264: Feinabstimmung zerolatency, Voreinstellung veryfast.",
      "Einstellungen → Audio → Abtastrate: 48 kHz.",
      "Einstellungen → Video: für den Anfang 1280×720 mit 30 Bildern je Sekunde.",
    ],
  },
};
