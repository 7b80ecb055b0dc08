import { useEffect, useRef } from "react";
import { fullscreenPossible } from "../../hooks/useFullscreen";
import { pictureInPicturePossible } from "../../hooks/usePictureInPicture";
import { useStrings } from "../../hooks/useStrings";
import { wakeLockPossible } from "../../hooks/useWakeLock";
import { Icon } from "../Icon/Icon";
import styles from "./HelpSheet.module.css";

/** Which key does what, and what this browser or this connection does not allow. */
export function HelpSheet({ onClose }: { readonly onClose: () => void }) {
  const { help } = useStrings();
  const sheet = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    sheet.current?.showModal();
  }, []);
  const keys: readonly (readonly [string, string])[] = [
    [`${help.space}, K`, help.keys.play],
    ["M", help.keys.mute],
    ["↑, ↓", help.keys.volume],
    ["F", help.keys.fullscreen],
    ["P", help.keys.pictureInPicture],
    ["T", help.keys.theatre],
    ["I", help.keys.figures],
    ["?", help.keys.help],
    [help.escape, help.keys.close],
  ];
  const missing = [
    wakeLockPossible() ? null : help.missing.wakeLock,
    "clipboard" in navigator ? null : help.missing.clipboard,
    pictureInPicturePossible() ? null : help.missing.pictureInPicture,
    fullscreenPossible() ? null : help.missing.fullscreen,
  ].filter((sentence) => sentence !== null);
  return (
    <dialog ref={sheet} className={styles["sheet"]} aria-labelledby="help-title" onClose={onClose}>
      <div className={styles["head"]}>
        <h2 id="help-title">{help.title}</h2>
        <button type="button" aria-label={help.close} title={help.close} onClick={() => sheet.current?.close()}>
          <Icon name="close" />
        </button>
      </div>
      <dl className={styles["keys"]}>
        {keys.map(([key, does]) => (
          <div key={key}>
            <dt>
              {key.split(", ").map((one) => (
                <kbd key={one}>{one}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p className={styles["touch"]}>{help.touch}</p>
      {missing.length > 0 && (
        <section className={styles["missing"]}>
          <h3>{help.missingTitle}</h3>
          <ul>
            {missing.map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        </section>
      )}
    </dialog>
  );
}
