import { LATENCY_MODES } from "../../core/latency";
import { useChoice } from "../../hooks/useChoice";
import { useHeliograph } from "../../hooks/useHeliograph";
import { useStrings } from "../../hooks/useStrings";
import { MenuButton } from "../MenuButton/MenuButton";

/** How far behind the moment one wants to watch: one choice of three. */
export function LatencyMenu() {
  const strings = useStrings();
  const [chosen, choose] = useChoice(useHeliograph().choices.latency);
  const items = LATENCY_MODES.map((mode) => ({ value: mode, ...strings.latency[mode] }));
  return <MenuButton icon="delay" label={strings.controls.latency} items={items} chosen={chosen} onChoose={choose} />;
}
