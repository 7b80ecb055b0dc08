#!/usr/bin/env bash
# Measures the release build on this machine and writes the figures into docs/performance.md.
# Arguments go to the benchmark: --seconds N, --only 0,2, --list. With --only nothing is written.
set -euo pipefail
cd "$(dirname "$0")/.."
built=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
cargo build --release --locked --package heliograph --package heliograph-bench
write=(--write docs/performance.md)
for word in "$@"; do
  case $word in --only* | --list) write=() ;; esac
done
"$built/bench" --program "$built/heliograph" "${write[@]}" "$@"
case " $* " in *" --list "*) exit ;; esac
cargo bench --locked --package heliograph-edge --package heliograph-relay --benches -- --warm-up-time 1 --measurement-time 2
