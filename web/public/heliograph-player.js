// A player of a Heliograph server for any page, without a framework:
//
//   <script type="module" src="https://tv.example.org/heliograph-player.js"></script>
//   <heliograph-player channel="den"></heliograph-player>
//
// docs/embedding.md explains attributes, methods and events. The player itself lives in a frame.

const SERVER = new URL(".", import.meta.url);
/** Attributes that go into the address of the frame; each may be said as with HTML: `muted`, `muted="0"`. */
const WISHES = ["autoplay", "muted", "controls", "latency", "colour", "logo"];

class HeliographPlayer extends HTMLElement {
  static observedAttributes = ["channel", "server", ...WISHES];

  #frame = null;
  #status = { state: "idle", detail: null, viewers: null, muted: true, volume: 1, paused: true };
  #onMessage = (event) => {
    const { data } = event;
    if (event.source !== this.#frame?.contentWindow || data?.from !== "heliograph" || data.type !== "status") return;
    const before = this.#status;
    this.#status = data;
    this.dispatchEvent(new CustomEvent("heliograph-status", { detail: data }));
    if (before.state !== data.state) this.dispatchEvent(new CustomEvent("heliograph-state", { detail: data }));
  };

  connectedCallback() {
    window.addEventListener("message", this.#onMessage);
    this.#show();
  }

  disconnectedCallback() {
    window.removeEventListener("message", this.#onMessage);
    this.#frame?.remove();
    this.#frame = null;
  }

  attributeChangedCallback(_name, before, after) {
    if (this.isConnected && before !== after) this.#show();
  }

  /** The newest state, as it comes with the event `heliograph-status`. */
  get status() {
    return this.#status;
  }

  play() {
    this.#ask("play");
  }

  pause() {
    this.#ask("pause");
  }

  get muted() {
    return this.#status.muted;
  }

  set muted(value) {
    this.#ask(value ? "mute" : "unmute");
  }

  get volume() {
    return this.#status.volume;
  }

  set volume(value) {
    this.#ask("volume", Number(value));
  }

  /** `lowest`, `balanced` or `smooth`, without loading the player anew as the attribute does. */
  setLatency(value) {
    this.#ask("latency", value);
  }

  #ask(command, value) {
    this.#frame?.contentWindow?.postMessage({ to: "heliograph", command, value }, this.#address().origin);
  }

  #address() {
    const server = new URL(this.getAttribute("server") ?? SERVER, document.baseURI);
    const address = new URL(`embed/${encodeURIComponent(this.getAttribute("channel") ?? "")}`, server);
    for (const name of WISHES) if (this.hasAttribute(name)) address.searchParams.set(name, this.getAttribute(name) || "1");
    return address;
  }

  #show() {
    if (!this.getAttribute("channel")) return;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    if (!this.#frame) {
      const style = document.createElement("style");
      style.textContent =
        ":host{display:block;aspect-ratio:16/9;width:100%}:host([hidden]){display:none}iframe{display:block;width:100%;height:100%;border:0}";
      this.#frame = document.createElement("iframe");
      this.#frame.allow = "autoplay; fullscreen; picture-in-picture; screen-wake-lock; clipboard-write";
      root.replaceChildren(style, this.#frame);
    }
    this.#frame.title = this.getAttribute("title") ?? this.getAttribute("channel");
    this.#frame.src = this.#address().href;
  }
}

if (!customElements.get("heliograph-player")) customElements.define("heliograph-player", HeliographPlayer);
