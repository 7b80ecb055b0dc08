import { explain, type BroadcastProblem } from "./broadcastProblem";
import { Observable } from "./observable";
import type { PictureInPicture } from "./pictureInPicture";
import { WhipClient, type WhipRefusal } from "./whipClient";

/** What is shown: the camera, the screen, or the screen with the camera in its corner. */
export type Source = "camera" | "screen" | "both";

export interface Device {
  readonly id: string;
  readonly label: string;
}

export interface BroadcastState {
  /**
   * `off`: nothing is open. `asking`: the browser asks the person. `ready`: a preview, and nobody sees it.
   * `connecting`: on the way to the server, or back to it. `live`: viewers see it.
   */
  readonly phase: "off" | "asking" | "ready" | "connecting" | "live";
  readonly problem: BroadcastProblem | null;
  readonly source: Source;
  readonly cameras: readonly Device[];
  readonly microphones: readonly Device[];
  readonly cameraId: string | null;
  /** Null: no microphone at all. */
  readonly microphoneId: string | null;
  /** What goes out, for preview and level meter. */
  readonly stream: MediaStream | null;
}

/** What the browser is asked for; a fake in tests. */
export interface BroadcastParts {
  /** Undefined where pages get neither camera nor screen: on plain http, and in some frames. */
  readonly devices: MediaDevices | undefined;
  readonly fetch: typeof fetch;
  readonly createPeer: () => RTCPeerConnection;
  readonly createPicture: () => PictureInPicture;
}

/** The browser's own choice of device. */
const DEFAULT_DEVICE = "default";
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
/** More pictures of a screen would cost sharpness. */
const SCREEN = { frameRate: { ideal: 30, max: 30 } };
/** Tries to come back after a connection was lost, and the time before each. */
const TRIES = 10;
const AGAIN_MS = 2_000;

/** Publishes camera, screen and microphone of this browser to the channel whose desk is open. */
export class Broadcast {
  readonly #parts: BroadcastParts;
  readonly #state = new Observable<BroadcastState>({
    phase: "off",
    problem: null,
    source: "camera",
    cameras: [],
    microphones: [],
    cameraId: null,
    microphoneId: DEFAULT_DEVICE,
    stream: null,
  });
  /** Everything that is open: closing it turns the lights of the devices off. */
  #opened: MediaStream[] = [];
  #picture: PictureInPicture | null = null;
  #link: WhipClient | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;
  /** Grows with each wish, so that what comes late for an old one is dropped. */
  #wish = 0;

  constructor(parts: BroadcastParts) {
    this.#parts = parts;
  }

  readonly snapshot = (): BroadcastState => this.#state.snapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#state.subscribe(listener);

  /** Whether this browser can show its screen: phones cannot. */
  get canShareScreen(): boolean {
    return typeof this.#parts.devices?.getDisplayMedia === "function";
  }

  /** Opens what is to be shown. While live, viewers get it instead of what they saw. */
  show(source: Source): Promise<void> {
    return this.#open({ source });
  }

  chooseCamera(cameraId: string): Promise<void> {
    return this.#open({ cameraId });
  }

  chooseMicrophone(microphoneId: string | null): Promise<void> {
    return this.#open({ microphoneId });
  }

  /** Begins to publish what the preview shows. */
  async goLive(): Promise<void> {
    if (this.#state.snapshot().phase === "ready") await this.#connect(0);
  }

  /** Ends the broadcast and lets go of camera, screen and microphone. */
  stop(problem: BroadcastProblem | null = null): void {
    this.#wish += 1;
    clearTimeout(this.#again);
    this.#link?.close();
    this.#link = null;
    this.#release();
    this.#set({ phase: "off", stream: null, problem });
  }

  async #open(change: Partial<Pick<BroadcastState, "source" | "cameraId" | "microphoneId">>): Promise<void> {
    const { devices } = this.#parts;
    if (!devices) {
      this.#set({ problem: "insecure" });
      return;
    }
    const before = this.#state.snapshot();
    const wished = { ...before, ...change };
    const wish = ++this.#wish;
    const running = before.phase === "live" || before.phase === "connecting";
    this.#set({ ...change, problem: null, ...(!running && { phase: "asking" as const }) });
    const opened: MediaStream[] = [];
    const keep = (stream: MediaStream): MediaStream => {
      opened.push(stream);
      return stream;
    };
    try {
      // The screen first: browsers give it only right after a click.
      const screen = wished.source === "camera" ? null : keep(await devices.getDisplayMedia({ video: SCREEN, audio: false }));
      const camera = wished.source === "screen" ? null : keep(await devices.getUserMedia({ video: { ...CAMERA, ...exactly(wished.cameraId) } }));
      const microphone = wished.microphoneId === null ? null : keep(await devices.getUserMedia({ audio: exactly(wished.microphoneId) ?? true }));
      if (wish !== this.#wish) throw new Superseded();
      const picture = screen && camera ? this.#parts.createPicture() : null;
      const shown = picture && screen && camera ? await picture.start(screen, camera) : (screen ?? camera);
      if (wish !== this.#wish) {
        picture?.stop();
        throw new Superseded();
      }
      this.#release();
      this.#opened = opened;
      this.#picture = picture;
      const stream = new MediaStream([...(shown?.getVideoTracks() ?? []), ...(microphone?.getAudioTracks() ?? [])]);
      for (const track of opened.flatMap((one) => one.getTracks())) {
        // "Stop sharing" in the browser's own bar, or a device that was pulled out.
        track.onended = () => {
          if (wish === this.#wish) this.stop("device-gone");
        };
      }
      await this.#link?.replace(stream);
      const { phase } = this.#state.snapshot();
      this.#set({ stream, ...(phase === "asking" && { phase: "ready" as const }) });
      await this.#list(devices);
    } catch (error) {
      for (const stream of opened) close(stream);
      if (error instanceof Superseded) return;
      const { phase, stream } = this.#state.snapshot();
      // What was open before still is.
      this.#set({
        source: before.source,
        cameraId: before.cameraId,
        microphoneId: before.microphoneId,
        problem: explain(error),
        ...(phase === "asking" && { phase: stream ? ("ready" as const) : ("off" as const) }),
      });
    }
  }

  /** Names are told only once a device has been opened. */
  async #list(devices: MediaDevices): Promise<void> {
    const all = await devices.enumerateDevices().catch(() => []);
    const of = (kind: MediaDeviceKind): Device[] =>
      all.filter((device) => device.kind === kind && device.deviceId !== "").map(({ deviceId, label }) => ({ id: deviceId, label }));
    const cameras = of("videoinput");
    const { cameraId } = this.#state.snapshot();
    this.#set({ cameras, microphones: of("audioinput"), cameraId: cameraId ?? cameras[0]?.id ?? null });
  }

  async #connect(tries: number): Promise<void> {
    const { stream } = this.#state.snapshot();
    if (!stream) return;
    this.#set({ phase: "connecting", problem: tries > 0 ? "connection-lost" : null });
    const link = new WhipClient({ fetch: this.#parts.fetch, peer: this.#parts.createPeer(), stream });
    this.#link = link;
    let stood = false;
    const refused = await link.open((lost) => {
      if (this.#link !== link) return;
      if (lost) {
        this.#retry(stood ? 0 : tries, "no-connection");
        return;
      }
      stood = true;
      this.#set({ phase: "live", problem: null });
    });
    if (!refused || this.#link !== link) return;
    link.close();
    this.#link = null;
    if (tries > 0 && isPassing(refused)) this.#retry(tries, refused);
    else this.#set({ phase: "ready", problem: refused });
  }

  /** Tries again in a while; `reason` is what stands there when that was for nothing. */
  #retry(tries: number, reason: WhipRefusal): void {
    this.#link?.close();
    this.#link = null;
    if (tries >= TRIES) {
      this.#set({ phase: "ready", problem: reason });
      return;
    }
    this.#set({ phase: "connecting", problem: "connection-lost" });
    this.#again = setTimeout(() => void this.#connect(tries + 1), AGAIN_MS);
  }

  #release(): void {
    this.#picture?.stop();
    this.#picture = null;
    for (const stream of this.#opened) close(stream);
    this.#opened = [];
  }

  #set(change: Partial<BroadcastState>): void {
    this.#state.set({ ...this.#state.snapshot(), ...change });
  }
}

/** A newer wish came. */
class Superseded extends Error {}

/** What another try may find gone. */
function isPassing(refusal: WhipRefusal): boolean {
  return refusal === "unreachable" || refusal === "channel-in-use" || refusal === "server-trouble";
}

function exactly(id: string | null): { deviceId: { exact: string } } | undefined {
  return id === null || id === DEFAULT_DEVICE ? undefined : { deviceId: { exact: id } };
}

function close(stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}
