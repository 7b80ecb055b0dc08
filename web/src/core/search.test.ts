import { expect, it } from "vitest";
import { streamEntry } from "../testing/render";
import { searchStreams } from "./search";

const STREAMS = [
  streamEntry({ channel: "café-noir", name: "Late shift", port: 1 }),
  streamEntry({ channel: "summit", name: "First light from the summit", port: 2 }),
  streamEntry({ channel: null, name: null, port: 24003 }),
];

it.each([
  ["", [1, 2, 24003]],
  ["  ", [1, 2, 24003]],
  ["CAFE", [1]],
  ["light summit", [2]],
  ["shift summit", []],
  ["24003", [24003]],
  ["la", [1]],
])("%o finds %o", (text, ports) => {
  expect(searchStreams(STREAMS, text).map((stream) => stream.port)).toEqual(ports);
});
