import { useEffect, useEffectEvent } from "react";

/** Calls the action of a pressed key (`KeyboardEvent.key`, lower case), unless the key belongs to what has the focus. */
export function useShortcuts(actions: Readonly<Record<string, () => void>>): void {
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actions[event.key.toLowerCase()];
    if (!action || belongsToFocus(event)) return;
    event.preventDefault();
    if (!event.repeat) action();
  });
  useEffect(() => {
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  }, []);
}

/** Space presses the focused button; letters go into a text field. */
function belongsToFocus(event: KeyboardEvent): boolean {
  if (!(event.target instanceof HTMLElement)) return false;
  if (event.target.isContentEditable || event.target.matches("textarea, select, input:not([type=range])")) return true;
  // Arrows move what can be moved.
  if (event.key.startsWith("Arrow") && event.target.matches("input, [role=menuitemradio]")) return true;
  return event.key === " " && event.target.matches("button, a, input, summary");
}
