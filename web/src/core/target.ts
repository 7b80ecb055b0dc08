/** What a viewer wants to watch. */
export type Target =
  | { readonly kind: "channel"; readonly name: string }
  | { readonly kind: "port"; readonly port: number };

/** The same text for the same target; also what the server wants to see behind the `?`. */
export function targetQuery(target: Target): string {
  return target.kind === "channel" ? `channel=${encodeURIComponent(target.name)}` : `port=${target.port}`;
}

/** What people call it until the server has told the title. */
export function targetName(target: Target): string {
  return target.kind === "channel" ? target.name : String(target.port);
}
