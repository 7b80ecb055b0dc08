/** The camera's part of the width, and its distance from the edges. */
const SHARE = 0.22;
const MARGIN = 0.015;
const FPS = 30;

/** Draws the screen with the camera in its lower right corner. */
export class PictureInPicture {
  #drawn: MediaStream | null = null;
  #timer: Worker | null = null;
  #sources: HTMLVideoElement[] = [];

  /** Begins to draw; the stream has one track of pictures. */
  async start(screen: MediaStream, camera: MediaStream): Promise<MediaStream> {
    const [back, front] = await Promise.all([play(screen), play(camera)]);
    this.#sources = [back, front];
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d", { alpha: false });
    const draw = (): void => {
      const place = layout([back.videoWidth, back.videoHeight], [front.videoWidth, front.videoHeight]);
      if (!pen || !place) return;
      const [width, height] = place.size;
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      pen.drawImage(back, 0, 0, width, height);
      pen.drawImage(front, ...place.camera);
    };
    draw();
    // Browsers slow down the timers of a page that nobody looks at, and whoever shares the screen looks at another; they
    // leave those of workers alone.
    const code = `setInterval(() => postMessage(0), ${1_000 / FPS})`;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    this.#timer = new Worker(url);
    URL.revokeObjectURL(url);
    this.#timer.onmessage = draw;
    this.#drawn = canvas.captureStream(FPS);
    return this.#drawn;
  }

  stop(): void {
    this.#timer?.terminate();
    for (const source of this.#sources) source.srcObject = null;
    for (const track of this.#drawn?.getTracks() ?? []) track.stop();
    this.#sources = [];
    this.#drawn = null;
  }
}

export interface Layout {
  readonly size: readonly [width: number, height: number];
  readonly camera: readonly [x: number, y: number, width: number, height: number];
}

type Size = readonly [width: number, height: number];

/** Where the camera goes on a screen of this size, of which at most 1080 lines are sent; null before sizes are known. */
export function layout(screen: Size, camera: Size): Layout | null {
  if (Math.min(...screen, ...camera) <= 0) return null;
  const scale = Math.min(1, 1_080 / screen[1], 1_920 / screen[0]);
  // Encoders want even numbers.
  const [width, height] = [even(screen[0] * scale), even(screen[1] * scale)];
  const inner = Math.round(width * SHARE);
  const tall = Math.round((inner * camera[1]) / camera[0]);
  const margin = Math.round(width * MARGIN);
  return { size: [width, height], camera: [width - inner - margin, height - tall - margin, inner, tall] };
}

const even = (pixels: number): number => 2 * Math.round(pixels / 2);

async function play(stream: MediaStream): Promise<HTMLVideoElement> {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream(stream.getVideoTracks());
  await video.play();
  return video;
}
