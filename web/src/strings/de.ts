import type { Catalogue } from "./en";

const zahl = (wert: number, stellen = 0): string => wert.toLocaleString("de", { maximumFractionDigits: stellen });

/** Alles, was die Seite auf Deutsch sagt. */
export const de: Catalogue = {
  locale: "de",
  direction: "ltr",
  language: "Deutsch",
  languageMenu: "Sprache",
  name: "Heliograph",
  skipToContent: "Zum Inhalt springen",
  pageTitle: (page, site) => (page === null ? site : `${page} · ${site}`),

  home: {
    title: "Auf Sendung",
    subtitle: (count) => (count === 1 ? "Ein Kanal sendet gerade." : `${zahl(count)} Kanäle senden gerade.`),
    loading: "Kanäle werden gesucht",
    search: "Kanäle suchen",
    found: (count, text) => (count === 1 ? `1 Kanal mit „${text}“` : `${zahl(count)} Kanäle mit „${text}“`),
    nothingFound: {
      title: (text) => `Kein Kanal mit „${text}“ ist auf Sendung`,
      text: "Vielleicht beginnt er später: Diese Liste ändert sich von selbst. Oder sehen Sie nach, was sonst läuft.",
      showAll: "Alle Kanäle zeigen",
    },
    several: "Mehrere zugleich ansehen",
    unreachable: {
      title: "Der Server antwortet nicht",
      text: "Die Liste der Kanäle lässt sich gerade nicht laden. Diese Seite fragt alle paar Sekunden wieder nach.",
    },
  },

  empty: {
    title: "Niemand ist auf Sendung",
    text: "Sobald jemand zu senden beginnt, erscheint der Kanal hier von selbst.",
    howTo: "Mit OBS Studio senden",
    stepKey: "Legen Sie auf dem Server einen Schlüssel an. Er gehört zu einem Kanal und wird nur einmal angezeigt.",
    keyCommand: "heliograph key new KANAL",
    stepSettings:
      "Öffnen Sie in OBS (27 bis 30.2) Einstellungen → Stream, wählen Sie die Plattform „Benutzerdefiniert …“ und tragen Sie ein",
    serverLabel: "Server",
    keyLabel: "Streamschlüssel",
    keyPlaceholder: "der Schlüssel, den der Befehl angezeigt hat",
    stepEncoder:
      "Stellen Sie unter Ausgabe das Keyframe-Intervall auf 2 s, das Profil auf main und keine B-Frames ein. Dann starten Sie den Stream.",
    withoutObs: "Kein OBS zur Hand? Senden Sie ein Testbild",
    publishCommand: (host) => `heliograph publish --to ${host} --key SCHLÜSSEL --test-picture`,
    copy: "Kopieren",
    copied: "Kopiert",
    copyFailed: "Markieren und von Hand kopieren",
  },

  card: {
    port: (port) => `Port ${port}`,
    resolution: (width, height) => `${width} × ${height}`,
    framesPerSecond: (fps) => `${Math.round(fps)} Bilder/s`,
    noStill: (codec) => `Keine Vorschau: Dieser Browser zeigt kein ${codec}`,
  },

  badge: {
    live: "Live",
    away: "Unterbrochen",
    waiting: "Beginnt",
    offline: "Nicht auf Sendung",
  },

  viewers: (count) => (count === 1 ? "1 Person sieht zu" : `${zahl(count)} sehen zu`),
  since: {
    now: "gerade begonnen",
    minutes: (minutes) => (minutes === 1 ? "seit 1 Minute" : `seit ${minutes} Minuten`),
    hours: (hours, minutes) => (minutes === 0 ? `seit ${hours} h` : `seit ${hours} h ${minutes} min`),
    days: (days) => (days === 1 ? "seit 1 Tag" : `seit ${zahl(days)} Tagen`),
  },

  watch: {
    player: (name) => `Player: ${name}`,
    alsoLive: "Solange auf Sendung",
    addAnother: "Einen weiteren Kanal daneben ansehen",
  },

  several: {
    title: (count) => (count === 1 ? "Ein Kanal" : `${zahl(count)} Kanäle zugleich`),
    listen: (name) => `${name} anhören`,
    listening: (name) => `Sie hören ${name}`,
    remove: (name) => `${name} entfernen`,
    alone: (name) => `Nur ${name} ansehen`,
    add: "Kanal hinzufügen",
    addHint: "Wählen Sie aus dem, was auf Sendung ist",
    nothingToAdd: "Sonst ist gerade nichts auf Sendung.",
    full: (most) => `Höchstens ${most} zugleich: Jeder kostet Ihre Leitung und Ihr Gerät etwas.`,
    none: {
      title: "Wählen Sie, was Sie sehen möchten",
      text: "Fügen Sie Kanäle hinzu, die auf Sendung sind; einer davon hat den Ton.",
    },
  },

  embed: {
    open: (site) => `Auf ${site} ansehen`,
  },

  controls: {
    group: "Bedienung des Players",
    play: "Abspielen",
    pause: "Anhalten",
    mute: "Ton ausschalten",
    unmute: "Ton einschalten",
    volume: "Lautstärke",
    fullscreen: "Vollbild",
    leaveFullscreen: "Vollbild verlassen",
    latency: "Verzögerung",
    layer: "Bildqualität",
    pictureInPicture: "Bild im Bild",
    leavePictureInPicture: "Bild im Bild beenden",
    theatre: "Kinomodus",
    leaveTheatre: "Kinomodus verlassen",
    figures: "Messwerte",
    hideFigures: "Messwerte ausblenden",
    help: "Tastenkürzel",
    withShortcut: (label, key) => `${label} (${key})`,
  },

  latency: {
    lowest: { name: "Kürzest", text: "Bilder, sobald sie da sind; der Ton folgt manchmal einen Augenblick später." },
    balanced: { name: "Ausgewogen", text: "Fast live, Bild und Ton zusammen." },
    smooth: { name: "Ruhig", text: "Eine Sekunde später. Hilft, wo das Netz stockt." },
  },

  layers: {
    auto: { name: "Automatisch", text: "So gut, wie Ihre Verbindung es zulässt." },
  },

  help: {
    title: "Tastenkürzel",
    close: "Schließen",
    keys: {
      play: "Anhalten, oder live weitersehen",
      mute: "Ton an oder aus",
      volume: "Lauter, leiser",
      fullscreen: "Vollbild",
      pictureInPicture: "Bild im Bild",
      theatre: "Kinomodus: so breit wie das Fenster",
      figures: "Messwerte",
      help: "Diese Übersicht",
      close: "Schließen, was offen ist",
    },
    space: "Leertaste",
    escape: "Esc",
    touch: "Auf einem Touchscreen tippen Sie zweimal für das Vollbild.",
    missingTitle: "Hier nicht möglich",
    missing: {
      wakeLock:
        "Der Bildschirm kann beim Zusehen dunkel werden: Browser halten ihn nur für Seiten wach, die über https kommen.",
      clipboard: "Kopieren per Knopf geht nur über https. Markieren Sie den Text und kopieren Sie ihn von Hand.",
      pictureInPicture: "Dieser Browser kann kein Bild im Bild oder erlaubt es Seiten nicht.",
      fullscreen: "Dieser Browser zeigt keine Seite im Vollbild.",
    },
  },

  figures: {
    title: "Messwerte",
    close: "Messwerte ausblenden",
    copy: "Als Text kopieren",
    copied: "Kopiert",
    copyFailed: "Markieren und von Hand kopieren",
    chart: "Verzögerung und Bitrate in der letzten Minute",
    delayLine: "Verzögerung",
    bitrateLine: "Bitrate",
    unknown: "–",
    rows: {
      delay: "Verzögerung",
      uplink: { capture: "Kamera bis Server", network: "Encoder bis Server", none: "Kamera bis Server" },
      network: "Netz, ein Weg",
      buffer: "Wartezeit im Puffer",
      decode: "Dekodieren",
      roundTrip: "Hin und zurück",
      loss: "Verloren",
      recovered: "Nachgesendet und angekommen",
      freezes: "Standbilder",
      bitrate: "Bitrate",
      picture: "Bild",
      codec: "Codecs",
      encryption: "Verschlüsselung",
      path: "Weg",
      transport: "Signalisierung",
      clock: "Uhr gegen den Server",
    },
    delayFrom: {
      clocks: {
        capture: "von der Kamera bis zu Ihrem Auge",
        network: "vom Encoder bis zu Ihrem Auge. Was Kamera und Streaming-Programm vor dem Senden brauchen, lässt sich von hier nicht messen: Es kommt hinzu, oft eine Zehntelsekunde.",
        none: "vom Server bis zu Ihrem Auge; der Weg von der Kamera zum Server ist nicht bekannt und nicht enthalten",
      },
      parts: {
        capture: "von der Kamera bis zu Ihrem Auge; Weg zum Server, Netz, Puffer und Dekodieren zusammen",
        network: "Weg zum Server, Netz, Puffer und Dekodieren zusammen. Was Kamera und Streaming-Programm vor dem Senden brauchen, lässt sich von hier nicht messen: Es kommt hinzu, oft eine Zehntelsekunde.",
        none: "Netz, Puffer und Dekodieren zusammen; der Weg von der Kamera zum Server ist nicht bekannt und nicht enthalten",
      },
    },
    uplinkFrom: {
      capture: "nach der Uhr des Senders, samt Kodieren",
      network: "der halbe Hin- und Rückweg, was sich unterwegs gestaut hat und was der Server mit Absicht zurückhält",
      none: "dieser Sender sagt darüber nichts",
    },
    ms: (ms) => `${zahl(Math.round(ms))} ms`,
    tenths: (ms) => `${zahl(ms, 1)} ms`,
    percent: (percent) => `${zahl(percent, 2)} %`,
    packets: (count) => (count === 1 ? "1 Paket" : `${zahl(count)} Pakete`),
    times: (count, seconds) => (count === 0 ? "keine" : `${zahl(count)}, zusammen ${zahl(seconds, 1)} s`),
    bitrate: (mbit) => `${zahl(mbit, 2)} Mbit/s`,
    picture: (width, height, fps) =>
      fps === null ? `${width} × ${height}` : `${width} × ${height}, ${Math.round(fps)} Bilder/s`,
    within: (ms) => `auf ${zahl(ms, 1)} ms genau bekannt`,
  },

  status: {
    reaching: { title: "Die Station wird gerufen", text: "Der Server wird nach dem Stream gefragt." },
    negotiating: { title: "Die Station antwortet", text: "Bild und Ton werden vereinbart." },
    joining: {
      title: "Der Weg wird gesucht",
      text: "Ein Pfad durch das Netz wird gesucht. In manchen Netzen dauert das einen Moment.",
    },
    again: (attempt) => `Versuch ${attempt}.`,
    waiting: { title: "Verbunden", text: "Das erste Bild ist unterwegs." },
    offline: {
      title: "Nicht auf Sendung",
      text: "Hier sendet gerade niemand. Lassen Sie diese Seite offen: Es beginnt von selbst.",
    },
    ended: {
      title: "Die Sendung ist zu Ende",
      text: "Danke fürs Zusehen. Wenn es weitergeht, beginnt diese Seite von selbst wieder.",
    },
    away: {
      title: "Die Leitung des Senders ist verstummt",
      text: "Sie sind weiter verbunden. Das Bild geht von selbst weiter, sobald der Sender zurück ist.",
    },
    stalled: {
      network: {
        title: "Es kommen keine Bilder an",
        text: "Die Verbindung zwischen Ihnen und dem Server ist langsam oder unterbrochen. Oft erholt sie sich in Sekunden.",
      },
      loss: {
        title: "Teile des Bildes gehen verloren",
        text: "Ihr Netz verliert unterwegs zu viel. Mit dem nächsten ganzen Bild geht es weiter; ein Kabel oder ein anderes WLAN hilft.",
      },
      device: {
        title: "Dieses Gerät kommt nicht nach",
        text: "Alles kommt an, wird aber nicht rechtzeitig dekodiert. Schließen Sie andere Programme oder Tabs, oder stecken Sie das Netzteil an.",
      },
    },
    paused: { title: "Angehalten", text: "Wenn Sie fortfahren, sehen Sie, was dann gerade geschieht." },
    autoplayBlocked: {
      title: "Bereit, wenn Sie es sind",
      text: "Ihr Browser startet Videos erst, wenn Sie es wünschen.",
      action: "Ansehen",
    },
    retryIn: (seconds) => `Neuer Versuch in ${seconds} s`,
    retryNow: "Jetzt erneut versuchen",
    otherChannels: "Die anderen Kanäle ansehen",
    askFor: (addresses) => `Bitten Sie um ausgehendes UDP zu ${addresses}.`,
  },

  causes: {
    unreachable: {
      title: "Der Server antwortet nicht",
      text: "Vielleicht startet er gerade neu, oder Ihre Internetverbindung ist unterbrochen. Diese Seite versucht es weiter.",
    },
    "socket-refused": {
      title: "Der Server ist nicht zu erreichen",
      text: "Vielleicht startet er gerade neu, oder etwas zwischen Ihnen und ihm sperrt die Verbindung. Diese Seite versucht es weiter.",
    },
    "socket-lost": {
      title: "Die Verbindung ist abgerissen",
      text: "Sie wird neu aufgebaut. Wenn das oft geschieht, prüfen Sie Ihr Netz.",
    },
    "path-blocked": {
      title: "Das Netz lässt kein Video durch",
      text: "Der Server antwortet, aber kein Video kommt an. Versuchen Sie ein anderes Netz, verlassen Sie das VPN, oder bitten Sie Ihren Administrator, UDP zu diesem Server zu erlauben.",
    },
    "path-lost": {
      title: "Das Bild wurde unterbrochen",
      text: "Der Weg durch das Netz ist verstummt, wie es geschieht, wenn das WLAN wechselt. Ein neuer wird gesucht.",
    },
    "no-stream": { title: "Nicht auf Sendung", text: "Einen solchen Stream gibt es gerade nicht. Diese Seite sieht weiter nach." },
    ended: { title: "Die Sendung ist zu Ende", text: "Wenn es weitergeht, beginnt diese Seite von selbst wieder." },
    full: {
      title: "Alle Plätze sind besetzt",
      text: "Der Server hat so viele Zuschauer, wie er versorgen kann. Sie kommen hinein, sobald ein Platz frei wird.",
    },
    description: {
      title: "Browser und Server verstehen einander nicht",
      text: "Einer von beiden ist vielleicht zu alt für den anderen. Diese Seite versucht es weiter; ein neuerer Browser kann helfen.",
    },
    codec: {
      title: "Dieser Browser kann den Stream nicht abspielen",
      text: "Er hat ein Format, das dieser Browser nicht kennt. Ein Update dieses Browsers oder ein anderer Browser hilft.",
    },
    "not-allowed": {
      title: "Sie dürfen das nicht ansehen",
      text: "Der Server hat abgelehnt. Fragen Sie, wer Ihnen diese Adresse gegeben hat.",
    },
    "server-closing": { title: "Der Server startet neu", text: "Das Bild kommt von selbst zurück, wenn er wieder da ist." },
    "no-webrtc": {
      title: "Dieser Browser hat kein WebRTC",
      text: "Er ist zu alt, oder eine Einstellung oder Erweiterung schaltet WebRTC ab. Schalten Sie es ein, oder nehmen Sie einen anderen Browser.",
    },
    other: { title: "Etwas ist schiefgegangen", text: "Diese Seite versucht es weiter. Wenn das nicht hilft, laden Sie sie neu." },
  },

  notices: {
    picture: {
      title: "Sie können diesen Stream hören, aber nicht sehen",
      text: (codec) =>
        codec === null
          ? "Sein Bild hat ein Format, das dieser Browser nicht kennt. Ein Update dieses Browsers oder ein anderer Browser zeigt es."
          : `Sein Bild ist ${codec}, ein Format, das dieser Browser nicht kennt. Ein Update dieses Browsers oder ein anderer Browser zeigt es.`,
    },
    sound: (codec) => `Sie können diesen Stream sehen, aber nicht hören: Sein Ton ist ${codec}, ein Format, das dieser Browser nicht kennt.`,
    openH264:
      "Firefox holt sich selbst, was er für H.264 braucht, einige Minuten nach dem ersten Start. Warten Sie und laden Sie diese Seite neu, oder sehen Sie unter about:addons, Plugins nach, ob „OpenH264“ eingeschaltet ist.",
    codec: "Ihr Browser kann nicht alles von diesem Stream abspielen: Bild oder Ton haben ein Format, das er nicht kennt.",
    other: (detail) => `Der Server sagt: ${detail}`,
  },

  notFound: {
    title: "Von hier sendet nichts",
    text: "Unter dieser Adresse gibt es keine Seite. Vielleicht fehlt ein Buchstabe.",
    home: "Die Kanäle ansehen",
  },
};
