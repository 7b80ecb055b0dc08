import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { Icon, type IconName } from "../Icon/Icon";
import styles from "./MenuButton.module.css";

/** One thing to choose. */
export interface MenuItem<T> {
  readonly value: T;
  readonly name: string;
  /** What it means; left out where the picture is small. */
  readonly text?: string;
}

interface Props<T> {
  readonly icon: IconName;
  /** What is chosen here. */
  readonly label: string;
  readonly items: readonly MenuItem<T>[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
}

/** A button over the picture, and a menu with one choice of several. */
export function MenuButton<T extends string | null>({ icon, label, items, chosen, onChoose }: Props<T>) {
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
  const choose = (value: T): void => {
    onChoose(value);
    close();
  };
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
        <Icon name={icon} />
      </button>
      {open && <Items id={id} label={label} items={items} chosen={chosen} onChoose={choose} onClose={close} />}
    </div>
  );
}

interface ItemsProps<T> extends Omit<Props<T>, "icon"> {
  readonly id: string;
  readonly onClose: () => void;
}

function Items<T extends string | null>({ id, label, items: choices, chosen, onChoose, onClose }: ItemsProps<T>) {
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
      aria-label={label}
      onKeyDown={onKeyDown}
    >
      {choices.map(({ value, name, text }) => (
        <button
          key={value}
          type="button"
          role="menuitemradio"
          aria-checked={value === chosen}
          tabIndex={-1}
          onClick={() => {
            onChoose(value);
          }}
        >
          <span className={styles["name"]}>
            {name}
            {value === chosen && <Icon name="check" />}
          </span>
          {text !== undefined && <span className={styles["text"]}>{text}</span>}
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
