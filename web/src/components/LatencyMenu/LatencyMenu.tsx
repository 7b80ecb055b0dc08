import { type KeyboardEvent, useEffect, useId, useRef, useState, useSyncExternalStore } from "react";
import { LATENCY_MODES, type LatencyMode } from "../../core/latency";
import { useHeliograph } from "../../hooks/useHeliograph";
import { Icon } from "../Icon/Icon";
import { useStrings } from "../../hooks/useStrings";
import styles from "./LatencyMenu.module.css";

/** How far behind the moment one wants to watch: a button, and a menu with one choice of three. */
export function LatencyMenu() {
  const strings = useStrings();
  const { latency } = useHeliograph().choices;
  const chosen = useSyncExternalStore(latency.subscribe, latency.snapshot);
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const onElsewhere = (event: Event): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    for (const name of ["pointerdown", "focusin"]) document.addEventListener(name, onElsewhere);
    return () => {
      for (const name of ["pointerdown", "focusin"]) document.removeEventListener(name, onElsewhere);
    };
  }, [open]);

  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  const choose = (mode: LatencyMode): void => {
    latency.choose(mode);
    close();
  };
  const label = strings.controls.latency;
  return (
    <div ref={root} className={styles["root"]}>
      <button
        ref={button}
        type="button"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={label}
        title={label}
        onClick={() => {
          setOpen(!open);
        }}
        onKeyDown={(event) => {
          if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        <Icon name="delay" />
      </button>
      {open && <Choices id={id} chosen={chosen} onChoose={choose} onClose={close} />}
    </div>
  );
}

interface ChoicesProps {
  readonly id: string;
  readonly chosen: LatencyMode;
  readonly onChoose: (mode: LatencyMode) => void;
  readonly onClose: () => void;
}

function Choices({ id, chosen, onChoose, onClose }: ChoicesProps) {
  const strings = useStrings();
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    menu.current?.querySelector<HTMLElement>("[aria-checked=true]")?.focus();
  }, []);

  const onKeyDown = (event: KeyboardEvent): void => {
    const items = [...(menu.current?.querySelectorAll<HTMLElement>("[role=menuitemradio]") ?? [])];
    const goal = nextItem(event.key, items.indexOf(document.activeElement as HTMLElement), items.length);
    if (goal !== null) items[goal]?.focus();
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={menu}
      id={id}
      className={styles["menu"]}
      role="menu"
      tabIndex={-1}
      aria-label={strings.controls.latency}
      onKeyDown={onKeyDown}
    >
      {LATENCY_MODES.map((mode) => (
        <button
          key={mode}
          type="button"
          role="menuitemradio"
          aria-checked={mode === chosen}
          tabIndex={-1}
          onClick={() => {
            onChoose(mode);
          }}
        >
          <span className={styles["name"]}>
            {strings.latency[mode].name}
            {mode === chosen && <Icon name="check" />}
          </span>
          <span className={styles["text"]}>{strings.latency[mode].text}</span>
        </button>
      ))}
    </div>
  );
}

/** Where a key leads in a menu of `count` entries (WAI-ARIA menu pattern); null when it leads nowhere. */
function nextItem(key: string, current: number, count: number): number | null {
  switch (key) {
    case "ArrowDown":
      return (current + 1) % count;
    case "ArrowUp":
      return (current - 1 + count) % count;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
