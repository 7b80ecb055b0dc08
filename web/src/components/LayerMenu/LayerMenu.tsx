import { layerNames } from "../../core/layers";
import type { Layer } from "../../core/messages";
import { useStrings } from "../../hooks/useStrings";
import { MenuButton } from "../MenuButton/MenuButton";

interface Props {
  /** Best first. */
  readonly layers: readonly Layer[];
  /** By name; null: as the network permits. */
  readonly picked: string | null;
  readonly onPick: (rid: string | null) => void;
}

/** How large the picture is to be, where the streamer sends it in several sizes. */
export function LayerMenu({ layers, picked, onPick }: Props) {
  const strings = useStrings();
  const names = layerNames(layers);
  const items = [
    { value: null, ...strings.layers.auto },
    ...layers.map(({ rid }, index) => ({ value: rid, name: names[index] ?? rid })),
  ];
  // A layer that the streamer does not send any more is none that one has.
  const chosen = layers.some(({ rid }) => rid === picked) ? picked : null;
  return <MenuButton icon="quality" label={strings.controls.layer} items={items} chosen={chosen} onChoose={onPick} />;
}
