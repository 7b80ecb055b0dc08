import { useEffect, useId, useRef } from "react";
import { Button } from "../../components/Button/Button";
import type { Broadcast, BroadcastState, Device, Source } from "../../core/broadcast";
import type { StudioClient } from "../../core/studioClient";
import type { Desk } from "../../core/studioMessages";
import { useBroadcast, useLevel } from "../../hooks/useBroadcast";
import { useStudioStrings } from "../../hooks/useStudio";
import styles from "./BrowserBroadcast.module.css";

interface Props {
  readonly studio: StudioClient;
  readonly desk: Desk;
}

const SOURCES: readonly Source[] = ["camera", "screen", "both"];
/** A select has no value for "none". */
const NONE = "";

/** Going live without an encoder: with the camera, the screen or both of this browser. */
export function BrowserBroadcast({ studio, desk }: Props) {
  const { camera } = useStudioStrings();
  const { broadcast, state } = useBroadcast();
  const { phase, problem, stream } = state;
  const open = stream !== null;
  const closed = desk.closed_for_s !== null;
  useEffect(() => {
    // "End the stream" was pressed; the connection itself would tell only after a while.
    const { phase: now } = broadcast.snapshot();
    if (closed && (now === "live" || now === "connecting")) broadcast.stop();
  }, [closed, broadcast]);
  const goLive = async (): Promise<void> => {
    // Whoever wants to go live takes back the end before.
    if (closed) await studio.open();
    await broadcast.goLive();
  };
  return (
    <section className={styles["camera"]} aria-labelledby="camera" data-phase={phase}>
      <h2 id="camera">{camera.heading}</h2>
      <p className={styles["text"]}>{camera.text}</p>
      <div className={styles["parts"]}>
        {open && <Preview stream={stream} label={camera.preview} mirrored={state.source === "camera"} />}
        <div className={styles["choices"]}>
          <Sources broadcast={broadcast} state={state} />
          {open && <Devices broadcast={broadcast} state={state} />}
          {open && <Meter stream={stream} />}
        </div>
      </div>
      <div className={styles["buttons"]}>
        {phase === "ready" && (
          <Button look="bright" onClick={() => void goLive()}>
            {camera.goLive}
          </Button>
        )}
        {open && (
          <Button
            look={phase === "ready" ? "plain" : "bright"}
            onClick={() => {
              broadcast.stop();
            }}
          >
            {phase === "ready" ? camera.close : camera.stop}
          </Button>
        )}
      </div>
      <p className={styles["state"]} role="status">
        {camera.phases[phase]}
      </p>
      <p className={styles["problem"]} role="alert">
        {problem && camera.problems[problem]}
      </p>
    </section>
  );
}

interface Parts {
  readonly broadcast: Broadcast;
  readonly state: BroadcastState;
}

function Sources({ broadcast, state }: Parts) {
  const { camera } = useStudioStrings();
  const offered = broadcast.canShareScreen ? SOURCES : SOURCES.slice(0, 1);
  return (
    <fieldset className={styles["sources"]}>
      <legend>{camera.source}</legend>
      {offered.map((source) => (
        <Button
          key={source}
          look="plain"
          aria-pressed={state.stream !== null && state.source === source}
          disabled={state.phase === "asking"}
          onClick={() => void broadcast.show(source)}
        >
          {camera.sources[source]}
        </Button>
      ))}
    </fieldset>
  );
}

function Devices({ broadcast, state }: Parts) {
  const { camera } = useStudioStrings();
  const id = useId();
  const { cameras, microphones, cameraId, microphoneId, source } = state;
  const name = ({ label }: Device, at: number): string => label || camera.unnamed(at + 1);
  return (
    <div className={styles["devices"]}>
      {source !== "screen" && (
        <>
          <label htmlFor={`${id}-camera`}>{camera.camera}</label>
          <select
            id={`${id}-camera`}
            value={cameraId ?? NONE}
            onChange={(event) => void broadcast.chooseCamera(event.target.value)}
          >
            {cameras.map((device, at) => (
              <option key={device.id} value={device.id}>
                {name(device, at)}
              </option>
            ))}
          </select>
        </>
      )}
      <label htmlFor={`${id}-microphone`}>{camera.microphone}</label>
      <select
        id={`${id}-microphone`}
        value={microphoneId ?? NONE}
        onChange={(event) => void broadcast.chooseMicrophone(event.target.value === NONE ? null : event.target.value)}
      >
        <option value={NONE}>{camera.noMicrophone}</option>
        {microphones.every((device) => device.id !== microphoneId) && microphoneId !== null && (
          <option value={microphoneId}>{camera.usual}</option>
        )}
        {microphones.map((device, at) => (
          <option key={device.id} value={device.id}>
            {name(device, at)}
          </option>
        ))}
      </select>
    </div>
  );
}

interface PreviewProps {
  readonly stream: MediaStream;
  readonly label: string;
  /** As people know themselves; viewers see it the right way round. */
  readonly mirrored: boolean;
}

function Preview({ stream, label, mirrored }: PreviewProps) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.srcObject = stream;
  }, [stream]);
  return <video ref={video} className={styles["preview"]} data-mirrored={mirrored} aria-label={label} autoPlay muted playsInline />;
}

function Meter({ stream }: { readonly stream: MediaStream }) {
  const { camera } = useStudioStrings();
  const id = useId();
  const loud = useLevel(stream);
  return (
    <div className={styles["meter"]}>
      <label htmlFor={id}>{camera.level}</label>
      <meter id={id} min={0} max={1} low={0.35} high={0.92} optimum={0.7} value={loud ?? 0} />
    </div>
  );
}
