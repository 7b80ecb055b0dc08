#!/usr/bin/env bash
# Runs the built server. First argument: 1 with the demo channel, 0 without. The rest: flags of `heliograph serve`.
set -euo pipefail
cd "$(dirname "$0")/.."
demo=$1; shift
[ "$demo" = 0 ] || set -- --demo "$@"
exec "${CARGO_TARGET_DIR:-target}/release/heliograph" serve "$@"
