// Bad networks as data: what is done to the link, for how long, and what we aim at. Figures in docs/bad-networks.md.
// A round trip takes 40 ms everywhere unless a case says otherwise; "down" is from the server to the viewer.

const wire = { delayMs: 20 };
const both = (conditions) => ({ down: { ...wire, ...conditions }, up: { ...wire, ...conditions } });
const up = (conditions) => ({ down: wire, up: { ...wire, ...conditions } });
const down = (conditions) => ({ down: { ...wire, ...conditions }, up: wire });

/** The publisher's bitrate, and what its packets take on the link with all their headers. */
export const STREAM_KBIT = 2500;
const ON_THE_LINK_KBIT = 2900;

/**
 * `link` holds from before the page is opened; `later` changes it while the page is watched: `[seconds, conditions]`.
 * With `uplink`, the publisher sits on the far side and the browser beside the server.
 * `goals` are bounds for figures of `figuresOf` in `network.mjs`; with nine packets a picture, 99.1 % of the pictures
 * complete means that 99.9 % of the packets came, be it at the second try. (Chromium's own count of lost packets does not
 * tell: what came at the second try stays lost there.)
 */
export const cases = [
  { name: "perfect", says: "no loss", link: both({}), goals: { longestGapMs: 200, freezes: 0, firstPictureMs: 500 } },
  {
    name: "loss-1",
    says: "1 % loss towards the viewer",
    link: down({ loss: 0.01 }),
    goals: { longestGapMs: 200, complete: 0.991 },
  },
  {
    name: "loss-5",
    says: "5 % loss towards the viewer",
    link: down({ loss: 0.05 }),
    goals: { longestGapMs: 400, freezesAMinute: 1, firstPictureMs: 500, complete: 0.991 },
    joins: 8,
  },
  {
    name: "loss-5-both",
    says: "5 % loss both ways",
    link: both({ loss: 0.05 }),
    goals: { freezes: 5, complete: 0.991 },
  },
  {
    name: "loss-10",
    says: "10 % loss towards the viewer",
    link: down({ loss: 0.1 }),
    goals: { freezes: 9, complete: 0.991 },
    joins: 8,
  },
  {
    name: "bursts",
    says: "bursts of 8 packets, 2 % in all",
    link: down({ bursts: { enter: 0.0026, leave: 0.125 } }),
    goals: { longestGapMs: 400, freezesAMinute: 1, complete: 0.991 },
  },
  {
    name: "jitter-50",
    says: "up to 50 ms of jitter, both ways",
    link: both({ jitterMs: 50 }),
    goals: { longestGapMs: 200, freezes: 0 },
  },
  {
    name: "delay-100",
    says: "100 ms each way",
    link: both({ delayMs: 100 }),
    goals: { longestGapMs: 200, freezes: 0 },
  },
  {
    name: "delay-100-loss-2",
    says: "100 ms each way, 2 % loss towards the viewer",
    link: { down: { delayMs: 100, loss: 0.02 }, up: { delayMs: 100 } },
    goals: { freezesAMinute: 1, complete: 0.991 },
  },
  {
    name: "delay-100-loss-5",
    says: "100 ms each way, 5 % loss towards the viewer",
    link: { down: { delayMs: 100, loss: 0.05 }, up: { delayMs: 100 } },
    goals: { freezesAMinute: 1, complete: 0.991 },
  },
  {
    name: "rate-above",
    says: "a rate a fifth above the stream's",
    link: down({ rateKbit: ON_THE_LINK_KBIT * 1.2 }),
    goals: { freezesAMinute: 1, complete: 0.991 },
  },
  {
    name: "rate-below",
    says: "a rate a tenth below the stream's, for 10 s",
    link: both({}),
    later: [
      [10, down({ rateKbit: ON_THE_LINK_KBIT * 0.9 })],
      [20, both({})],
    ],
    goals: {},
  },
  {
    name: "outage",
    says: "nothing passes for 3 s",
    link: both({}),
    later: [
      [10, both({ cut: true })],
      [13, both({})],
    ],
    goals: { backAfterMs: 1000, settledAfterMs: 5000, connections: 1 },
  },
  {
    name: "address",
    says: "the viewer's address changes",
    link: both({}),
    later: [[10, "address"]],
    // The page connects anew: that is sooner there again than waiting for the old connection to find out.
    goals: { backAfterMs: 1000, settledAfterMs: 5000, connections: 2 },
  },
  {
    name: "uplink-loss-1",
    says: "1 % loss from the publisher to the server",
    uplink: true,
    link: up({ loss: 0.01 }),
    goals: { longestGapMs: 200, freezes: 0 },
  },
  {
    name: "uplink-loss-5",
    says: "5 % loss from the publisher to the server",
    uplink: true,
    link: up({ loss: 0.05 }),
    goals: { longestGapMs: 400, freezesAMinute: 1 },
  },
  {
    name: "uplink-reorder",
    says: "from the publisher, 5 % of the packets overtaken by those of 8 ms",
    uplink: true,
    link: up({ reorder: 0.05, reorderMs: 8 }),
    goals: { longestGapMs: 200, freezes: 0 },
  },
];

/** What cannot be right, however busy the machine is. */
export const nonsense = { pictures: 0.3, complete: 0.8, firstPictureMs: 8000, longestGapMs: 5000 };

/** How long a page is watched, in seconds, and what CI looks at. */
export const full = { seconds: 40, names: cases.map(({ name }) => name) };
export const short = { seconds: 12, names: ["perfect", "loss-5", "loss-5-both"] };
