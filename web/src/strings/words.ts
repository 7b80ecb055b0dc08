import { codecName } from "../core/codecName";
import { isFirefox } from "../core/firefox";
import type { MissingMedia } from "../core/missingMedia";
import type { Cause, ViewerState } from "../core/viewerState";
import type { Catalogue } from "./en";

/** What the player says over the picture. */
export interface Words {
  readonly title: string;
  readonly text: string;
}

/** The sentence for a state; null when the picture speaks for itself. */
export function stateWords(state: ViewerState, strings: Catalogue): Words | null {
  const { status } = strings;
  switch (state.kind) {
    case "idle":
    case "live":
      return null;
    case "connecting": {
      const words = state.after ? causeWords(state.after, strings) : status[state.step];
      return state.attempt === 1 ? words : { title: words.title, text: `${words.text} ${status.again(state.attempt)}` };
    }
    case "waiting":
      return status.waiting;
    case "offline":
      return state.ended ? status.ended : status.offline;
    case "away":
      return status.away;
    case "stalled":
      return status.stalled[state.reason];
    case "autoplay-blocked":
      return status.autoplayBlocked;
    case "retrying":
    case "failed":
      return causeWords(state.cause, strings);
  }
}

function causeWords(cause: Cause, strings: Catalogue): Words {
  const words = strings.causes[cause.code];
  if (cause.addresses !== undefined) {
    return { title: words.title, text: `${words.text} ${strings.status.askFor(cause.addresses.join(", "))}` };
  }
  if (lacksOpenH264(cause)) return { title: words.title, text: strings.notices.openH264 };
  if (cause.code !== "other" || cause.detail === undefined) return words;
  return { title: words.title, text: `${strings.notices.other(sentence(cause.detail))} ${words.text}` };
}

/** What stands where the picture would be that this browser cannot show. */
export function noPictureWords(cause: Cause, strings: Catalogue): Words {
  const { title, text } = strings.notices.picture;
  const codec = missing(cause, "video");
  const words = text(codec === null ? null : codecName(codec));
  return { title, text: lacksOpenH264(cause) ? strings.notices.openH264 : words };
}

/** The line for something that is missing while the rest plays. */
export function noticeWords(cause: Cause, strings: Catalogue): string {
  if (cause.code === "codec") {
    const codec = missing(cause, "audio");
    return codec === null ? strings.notices.codec : strings.notices.sound(codecName(codec));
  }
  return cause.detail === undefined ? strings.causes[cause.code].title : strings.notices.other(sentence(cause.detail));
}

function missing(cause: Cause, kind: MissingMedia["kind"]): string | null {
  return cause.missing?.find((medium) => medium.kind === kind)?.codec ?? null;
}

function lacksOpenH264(cause: Cause): boolean {
  return missing(cause, "video") === "h264" && isFirefox(navigator.userAgent);
}

/** How long something has been on, in the largest unit that tells. */
export function sinceWords(sinceMs: number, nowMs: number, strings: Catalogue): string {
  const minutes = Math.floor((nowMs - sinceMs) / 60_000);
  if (minutes < 1) return strings.since.now;
  if (minutes < 60) return strings.since.minutes(minutes);
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? strings.since.hours(hours, minutes % 60) : strings.since.days(Math.floor(hours / 24));
}

/** Servers do not always end their sentences. */
function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
